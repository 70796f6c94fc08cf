//! Every panel alone, without a model: empty, with a typical clip, after a failure, and with 32 codebooks. `UPDATE_SNAPSHOTS=1` makes
//! the pictures again, and then they are to be looked at.

use std::sync::Arc;

use csm_studio::analysis::steps::{Step, Steps};
use csm_studio::audio::peaks::peaks;
use csm_studio::checkpoint::Checkpoint;
use csm_studio::data::{Clip, ClipSpec, Dtype, Logits, ModelDims, ModelInfo, Sampling, SamplingParams};
use csm_studio::studio::session::Session;

use super::*;

const STATES: [&str; 4] = ["empty", "typical", "failure", "large"];

/// A model with the sizes of CSM-1B and without labels.
fn large_info() -> ModelInfo {
    let dims = ModelDims {
        codebooks: 32,
        vocab: 2_051,
        codec_size: 2_048,
        frame_rate: 12.5,
        sample_rate: 24_000,
        max_positions: 2_048,
    };
    ModelInfo { name: "csm-1b".into(), dims, voices: Vec::new(), labels: None }
}

/// A clip of 25 frames with logits, whose frames 9 to 12 repeat; `change` replaces a token.
fn clip(info: &ModelInfo, seed: u64, change: Option<u32>) -> (Clip, Steps) {
    let (codebooks, vocab) = (info.dims.codebooks, info.dims.vocab);
    let sampling = Sampling::new(Mode::Exact, SamplingParams::new(0.9, 50), seed, Dtype::Float32);
    let spec = ClipSpec::new("The little boat sailed across the lake.", 0, sampling);
    let mut codes = Codes::new(codebooks);
    let mut steps = Steps::default();
    for t in 0..25usize {
        let at = if (9..13).contains(&t) { 9 } else { t };
        let mut ids: Vec<u32> = (0..codebooks).map(|k| ((at * 37 + k * 11) % 60 + 1) as u32).collect();
        if let Some(token) = change.filter(|_| t == 6) {
            ids[0] = token;
        }
        let near = |i: usize| (i % vocab).abs_diff(ids[i / vocab] as usize) as f32;
        let values = (0..codebooks * vocab).map(|i| 8.0 - 0.3 * (1.0 + t as f32 / 8.0) * near(i).min(40.0)).collect();
        steps.push(Step::new(Arc::new(Logits::new(vocab, values)), sampling, Vec::new(), &ids));
        codes.push(&ids);
    }
    steps.end = Some(0.9);
    let samples = codes.len() * info.dims.frame_samples();
    let envelope = |n: usize| (n as f32 / samples as f32 * 9.4).sin().abs() * 0.4;
    let audio = (0..samples).map(|n| envelope(n) * (n as f32 * 0.05).sin()).collect();
    let clip =
        Clip { origin: spec.into(), codes, audio, sample_rate: info.dims.sample_rate, stop: Some(FinishReason::Eos) };
    (clip, steps)
}

/// A stored take of a clip; its time of creation is not shown.
fn store_take(store: &mut Store, name: &str, clip: &Clip, info: &ModelInfo) -> TakeId {
    let model = csm_studio::data::ModelId { name: info.name.clone(), sha256: "0".repeat(64) };
    let tokens = TokenFile::new(clip, model, &info.dims);
    let (wav, _) = wav::encode(&clip.audio, clip.sample_rate, &wav::WavInfo::default()).unwrap();
    let text = clip.origin.text.clone().unwrap();
    let take = Take { name: name.into(), text, sampling: clip.origin.sampling, stop: clip.stop, ..Take::default() };
    store.add(take, &tokens, &wav).unwrap()
}

/// Lets everything in the background finish.
fn finish(session: &mut Session) {
    let started = Instant::now();
    loop {
        session.poll();
        if !session.works_in_background() {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A session in one of [`STATES`].
fn session(state: &str, folder: &Path) -> Session {
    let paths = paths(folder);
    let mut stored = Stored::read(&paths).unwrap();
    let info = match state {
        "failure" => None,
        "large" => Some(Arc::new(large_info())),
        _ => Some(Checkpoint::demo().unwrap().info),
    };
    let described = info.clone().filter(|_| state != "empty");
    let clips = described.map(|info| (clip(&info, 7, None), clip(&info, 8, Some(40)), info));
    let takes = clips.as_ref().map(|((first, _), (second, _), info)| {
        [
            store_take(&mut stored.store, "The little boat", first, info),
            store_take(&mut stored.store, "The boat again", second, info),
        ]
    });
    let mut session = Session::described(&paths, stored, info.map(Arc::unwrap_or_clone));
    session.preferences.settings.random_seed = false;
    session.composer.sampling = Sampling::new(Mode::Exact, SamplingParams::new(0.9, 50), 7, Dtype::Float32);
    if state == "failure" {
        session.notify_error("model.safetensors: expected 8,192 bytes of layer 3, the file ends after 4,096");
    }
    let (Some(((clip, steps), ..)), Some(takes)) = (clips, takes) else { return session };
    let turn = session.composer.conversation.turns()[0].id;
    session.run(ComposerCommand::EditTurn { turn, speaker: 0, text: clip.origin.text.clone().unwrap() });
    session.run(ComposerCommand::AddTurn);
    let current = &mut session.inspector.current;
    current.peaks = peaks(&clip.audio, clip.sample_rate);
    (current.clip, current.steps, current.take, current.version) = (Arc::new(clip), steps, Some(takes[0].clone()), 1);
    session.run(MonitorCommand::LoadCurrentClip);
    if state == "typical" {
        let voice = folder.join("a voice.wav");
        std::fs::copy(session.library.store.folder().audio_path(&takes[0]), &voice).unwrap();
        session.run(ComposerCommand::SetVoicePrompt(voice));
    }
    takes.into_iter().for_each(|take| session.run(ComparisonCommand::TogglePin(take)));
    finish(&mut session);
    session.run(InspectorCommand::Select(Some((4, 0))));
    let asked = Sampling { mode: Mode::Native, ..session.inspector.current.steps[0].sampling };
    session.run(InspectorCommand::AskWhatIf(Some(asked)));
    session.run(InspectorCommand::ComputeStatistics);
    session.run(ComparisonCommand::ComputeDifferences);
    session.run(ComparisonCommand::MeasureSounds);
    session
        .run(LibraryCommand::ReadOutlines(session.library.store.takes().iter().map(|take| take.id.clone()).collect()));
    session.notify("Exported to a file");
    finish(&mut session);
    session
}

#[test]
fn each_panel_looks_as_it_should() {
    let mut results = egui_kittest::SnapshotResults::new();
    for state in STATES {
        let folder = TempDir::new().unwrap();
        let studio = Studio::of_session(&egui::Context::default(), session(state, folder.path()));
        for title in studio.panel_titles() {
            let (mut draw_panel, mut prepared) = (studio.panel_alone(title), false);
            let draw = |ui: &mut egui::Ui| {
                if std::mem::replace(&mut prepared, true) {
                    draw_panel(ui);
                } else {
                    Studio::prepare(ui.ctx()); // fonts are available from the next frame on
                }
            };
            let size = match title {
                "Bar" | "Transport" => [900.0, 44.0],
                "Compose" | "Takes" => [330.0, 520.0],
                // Visible only while they are open.
                "Keys" | "Licences" | "Models" | "Commands" | "New listening test" | "Listening test" => continue,
                "Notifications" => [360.0, 200.0],
                "Clip" => [760.0, 520.0],
                _ => [760.0, 220.0],
            };
            let mut panel = Harness::builder().with_size(size).wgpu().build_ui(draw);
            panel.run_steps(6);
            if !cfg!(target_os = "linux") {
                continue; // The pictures are those of Mesa's software renderer; elsewhere the panels are only drawn.
            }
            panel.snapshot(format!("panels/{}-{state}", title.to_lowercase().replace(' ', "-")));
            results.extend_harness(&mut panel);
        }
    }
}
