//! Benchmarks: `cargo bench`. Layout and tessellation of the window with a long clip, and the store with many takes.

#![expect(clippy::unwrap_used, reason = "a benchmark ends by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use csm_studio::analysis::statistics::TokenStats;
use csm_studio::audio::microphone::Source;
use csm_studio::audio::player::Sink;
use csm_studio::checkpoint::CheckpointSpec;
use csm_studio::data::{Codes, Dtype, Logits, Mode, Sampling, SamplingParams};
use csm_studio::studio::Studio;
use csm_studio::studio::session::StudioPaths;
use csm_studio::studio::state::{InspectedClip, PinnedClip};
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
        source: Source::Tone { rate: 48_000 },
        model: CheckpointSpec::default(),
        open: Vec::new(),
    }
}

fn open(folder: &Path) -> Harness<'_, Studio> {
    let mut window = Harness::builder()
        .with_size([1920.0, 1200.0])
        .build_eframe(|c| Studio::new(&c.egui_ctx, paths(folder)).unwrap());
    while !window.state().session.is_ready() {
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
        let studio = Studio::new(&ctx, paths(folder)).unwrap();
        let mut window = Self { ctx, studio, frame: eframe::Frame::_new_kittest() };
        while !window.studio.session.is_ready() {
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
    fill(&mut window.studio.session.inspected);
    for n in 0..3 {
        let clip = &window.studio.session.inspected;
        let (frames, audio) = (clip.frames.clone(), clip.audio.clone());
        let pinned = PinnedClip::new(format!("{n}"), "a take".into(), frames, audio, 24_000);
        window.studio.session.pins.pin(pinned);
    }
    for panel in ["Candidates", "Statistics", "Problems", "What if", "Compare"] {
        window.studio.show(panel);
        (0..5).for_each(|_| {
            window.draw();
        });
        print_percentiles(&format!("a frame with {panel}"), (0..300).map(|_| window.draw()).collect());
    }
    window.studio.show("Candidates");
    let growing = (0..300).map(|_| {
        window.studio.session.inspected.version += 1;
        window.draw()
    });
    print_percentiles("a frame with Candidates, the map new", growing.collect());
}

/// From the key that speaks a short sentence to the first sample that the sound device takes, real time.
fn key_to_first_sound() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.conversation.edit(0, 0, "Good morning.");
    window.run_steps(3);
    let times = (0..20).map(|_| {
        let begun = Instant::now();
        window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Enter);
        window.step();
        while window.state().session.player.position() == 0.0 {
            std::thread::sleep(Duration::from_millis(1));
            window.step();
            let told = window.state().session.notifications.all();
            assert!(begun.elapsed() < Duration::from_secs(20), "no sound: {told:?}");
        }
        let time = begun.elapsed();
        while window.state().session.is_speaking() || window.state().session.player.is_playing() {
            std::thread::sleep(Duration::from_millis(5));
            window.step();
        }
        window.state_mut().session.player.seek(0.0);
        time
    });
    print_percentiles("key to first sound", times.collect());
}

fn fill(clip: &mut InspectedClip) {
    let (codebooks, vocab) = (32, 2_051);
    let sampling = Sampling::new(Mode::Exact, SamplingParams::new(0.9, 50), 0, Dtype::Float32);
    clip.frames = Codes::new(codebooks);
    for t in 0..750u32 {
        let codes: Vec<u32> = (0..codebooks as u32).map(|k| (t * 37 + k * 101) % vocab as u32).collect();
        let values = (0..codebooks * vocab).map(|i| ((i * 7919 + t as usize * 31) % 997) as f32 / 100.0).collect();
        let logits = Logits::new(vocab, values);
        clip.steps.push(TokenStats::measure_frame(&logits, &codes, &sampling));
        clip.logits.push(Arc::new(logits));
        clip.samplings.push(sampling);
        clip.end_probability.push(0.01);
        clip.guarded.push(Vec::new());
        clip.frames.push(&codes);
    }
    (clip.audio, clip.rate) = (vec![0.1; 60 * 24_000], 24_000);
    clip.peaks = (0..6_000).map(|i| (-(i % 90) as f32 / 100.0, (i % 70) as f32 / 100.0)).collect();
}

fn ten_thousand_takes() -> TempDir {
    let folder = TempDir::new().unwrap();
    for n in 0..10_000 {
        let id = format!("{n:010}-000");
        let text = format!("take {n} of many");
        let take = Take {
            id: id.clone(),
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
