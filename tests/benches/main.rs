//! Benchmarks: `cargo bench`. Layout and tessellation of the window with a long clip, and the store with many takes.

#![expect(clippy::unwrap_used, reason = "a benchmark ends by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use csm_studio::analysis::steps::Step;
use csm_studio::audio::microphone::MicrophoneSource;
use csm_studio::audio::player::Sink;
use csm_studio::checkpoint::CheckpointSpec;
use csm_studio::data::{Clip, Codes, Dtype, Logits, Mode, Sampling, SamplingParams};
use csm_studio::studio::Studio;
use csm_studio::studio::comparison::{PinKey, PinnedClip};
use csm_studio::studio::inspector::CurrentClip;
use csm_studio::studio::session::{Stored, StudioPaths};
use csm_studio::takes::{ClipSummary, Store, Take};
use egui_kittest::Harness;
use tempfile::TempDir;

fn main() {
    window_frames();
    key_to_first_sound();
    divan::main();
}

/// Prints the median and the 95th percentile of `times`.
fn print_percentiles(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[(share * (times.len() - 1) as f64).round() as usize].as_secs_f64() * 1e3;
    println!("{what}: median {:.2} ms, p95 {:.2} ms (n = {})", at(0.5), at(0.95), times.len());
}

fn paths(folder: &Path) -> StudioPaths {
    StudioPaths {
        takes: folder.join("takes"),
        cache: folder.join("cache"),
        settings: folder.join("settings.json"),
        sink: Some(Sink::Null { rate: 48_000 }),
        source: MicrophoneSource::Tone { rate: 48_000 },
        model: CheckpointSpec::default(),
        open: Vec::new(),
    }
}

fn studio(ctx: &egui::Context, folder: &Path) -> Studio {
    let paths = paths(folder);
    Studio::new(ctx, &paths, Stored::read(&paths).unwrap())
}

fn open(folder: &Path) -> Harness<'_, Studio> {
    let mut window = Harness::builder().with_size([1920.0, 1200.0]).build_eframe(|c| studio(&c.egui_ctx, folder));
    while !window.state().session.models.is_ready() {
        std::thread::sleep(Duration::from_millis(5));
        window.step();
    }
    window
}

/// The window without a display, and without the tree for screen readers, which a test harness has and most users do not.
struct BareWindow {
    ctx: egui::Context,
    studio: Studio,
    frame: eframe::Frame,
}

impl BareWindow {
    fn open(folder: &Path) -> Self {
        let ctx = egui::Context::default();
        let studio = studio(&ctx, folder);
        let mut window = Self { ctx, studio, frame: eframe::Frame::_new_kittest() };
        while !window.studio.session.models.is_ready() {
            std::thread::sleep(Duration::from_millis(5));
            window.draw();
        }
        window
    }

    /// Layout and tessellation of a frame at 1920x1200.
    fn draw(&mut self) -> Duration {
        let size = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(1920.0, 1200.0));
        let input = egui::RawInput { screen_rect: Some(size), ..egui::RawInput::default() };
        let begun = Instant::now();
        let output = self.ctx.run_ui(input, |ui| {
            let ctx = ui.ctx().clone();
            eframe::App::logic(&mut self.studio, &ctx, &mut self.frame);
            eframe::App::ui(&mut self.studio, ui, &mut self.frame);
        });
        divan::black_box(self.ctx.tessellate(output.shapes, output.pixels_per_point));
        begun.elapsed()
    }
}

/// A frame with 60 s x 32 codebooks of 2,051 ids and three pinned clips, with each of the panels below the clip; also with the map
/// drawn again, as while speaking.
fn window_frames() {
    let folder = TempDir::new().unwrap();
    let mut window = BareWindow::open(folder.path());
    fill(&mut window.studio.session.inspector.current);
    for n in 0..3u32 {
        let clip = window.studio.session.inspector.current.clip.clone();
        let pinned = PinnedClip::new(PinKey::Take(n.to_string().into()), "a take".into(), clip);
        window.studio.session.comparison.pins.pin(pinned);
    }
    for panel in ["Candidates", "Statistics", "Problems", "What if", "Compare"] {
        window.studio.show_tab(panel);
        (0..5).for_each(|_| {
            window.draw();
        });
        print_percentiles(&format!("a frame with {panel}"), (0..300).map(|_| window.draw()).collect());
    }
    window.studio.show_tab("Candidates");
    let growing = (0..300).map(|_| {
        window.studio.session.inspector.current.version += 1;
        window.draw()
    });
    print_percentiles("a frame with Candidates, the map new", growing.collect());
}

/// From the key that speaks a short sentence to the first sample that the sound device takes, real time.
fn key_to_first_sound() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    let turn = window.state().session.composer.conversation.turns()[0].id;
    window.state_mut().session.composer.conversation.edit(turn, 0, "Good morning.");
    window.run_steps(3);
    let times = (0..20).map(|_| {
        let begun = Instant::now();
        window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Enter);
        window.step();
        while window.state().session.monitor.player.position() == 0.0 {
            std::thread::sleep(Duration::from_millis(1));
            window.step();
            let told = window.state().session.notifications.all();
            assert!(begun.elapsed() < Duration::from_secs(20), "no sound: {told:?}");
        }
        let time = begun.elapsed();
        while window.state().session.is_speaking() || window.state().session.monitor.player.is_playing() {
            std::thread::sleep(Duration::from_millis(5));
            window.step();
        }
        window.state_mut().session.monitor.player.seek(0.0);
        time
    });
    print_percentiles("key to first sound", times.collect());
}

fn fill(current: &mut CurrentClip) {
    let (codebooks, vocab) = (32, 2_051);
    let sampling = Sampling::new(Mode::Exact, SamplingParams::new(0.9, 50), 0, Dtype::Float32);
    let mut codes_of_clip = Codes::new(codebooks);
    for t in 0..750u32 {
        let codes: Vec<u32> = (0..codebooks as u32).map(|k| (t * 37 + k * 101) % vocab as u32).collect();
        let values = (0..codebooks * vocab).map(|i| ((i * 7919 + t as usize * 31) % 997) as f32 / 100.0).collect();
        let logits = Logits::new(vocab, values);
        current.steps.push(Step::new(Arc::new(logits), sampling, Vec::new(), &codes));
        codes_of_clip.push(&codes);
    }
    let audio = vec![0.1; 60 * 24_000];
    current.clip = Arc::new(Clip { codes: codes_of_clip, audio, sample_rate: 24_000, ..Clip::default() });
    current.peaks = (0..6_000).map(|i| (-(i % 90) as f32 / 100.0, (i % 70) as f32 / 100.0)).collect();
}

fn ten_thousand_takes() -> TempDir {
    let folder = TempDir::new().unwrap();
    for n in 0..10_000 {
        let id = format!("{n:010}-000");
        let text = format!("take {n} of many");
        let take = Take {
            id: id.as_str().into(),
            name: text.clone(),
            created: n,
            favourite: false,
            parent: None,
            measures: ClipSummary::default(),
            text,
            speaker: 0,
            model: None,
            sampling: None,
            stop: None,
            edited: false,
            device: None,
            words: Vec::new(),
        };
        std::fs::create_dir(folder.path().join(&id)).unwrap();
        std::fs::write(folder.path().join(id).join("take.json"), serde_json::to_vec_pretty(&take).unwrap()).unwrap();
    }
    folder
}

#[divan::bench(sample_count = 10)]
fn open_10_000_takes(bencher: divan::Bencher<'_, '_>) {
    let folder = ten_thousand_takes();
    bencher.bench_local(|| Store::open(folder.path()).unwrap());
}

#[divan::bench]
fn search_10_000_takes(bencher: divan::Bencher<'_, '_>) {
    let folder = ten_thousand_takes();
    let store = Store::open(folder.path()).unwrap();
    bencher.bench_local(|| store.search("MANY 77").len());
}
