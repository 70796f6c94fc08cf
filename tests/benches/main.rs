//! Benchmarks: `cargo bench`. Layout and tessellation of the window with a long clip, and the store with many takes.

#![expect(clippy::unwrap_used, reason = "a benchmark ends by panicking")]

use std::path::Path;
use std::sync::Arc;

use csm_studio::analysis::statistics::TokenStats;
use csm_studio::audio::player::Sink;
use csm_studio::checkpoint::CheckpointSpec;
use csm_studio::data::{Codes, Dtype, Logits, Mode, Sampling, SamplingParams};
use csm_studio::studio::Studio;
use csm_studio::studio::session::StudioPaths;
use csm_studio::studio::state::InspectedClip;
use csm_studio::takes::{ClipSummary, Store, Take};
use egui_kittest::Harness;
use tempfile::TempDir;

fn main() {
    divan::main();
}

fn paths(folder: &Path) -> StudioPaths {
    StudioPaths {
        takes: folder.join("takes"),
        settings: folder.join("settings.json"),
        sink: Some(Sink::Null { rate: 48_000 }),
        model: CheckpointSpec::default(),
        open: Vec::new(),
    }
}

/// One frame of the window at 1920x1200 with 60 s x 6 codebooks, the map drawn again as while speaking.
#[divan::bench(sample_count = 300)]
fn window_frame(bencher: divan::Bencher<'_, '_>) {
    let folder = TempDir::new().unwrap();
    let mut window = Harness::builder()
        .with_size([1920.0, 1200.0])
        .build_eframe(|c| Studio::new(&c.egui_ctx, paths(folder.path())).unwrap());
    while !window.state().session.is_ready() {
        std::thread::sleep(std::time::Duration::from_millis(5));
        window.step();
    }
    fill(&mut window.state_mut().session.inspected);
    window.run_steps(5);
    bencher.bench_local(|| {
        window.state_mut().session.inspected.version += 1;
        window.step();
    });
}

fn fill(clip: &mut InspectedClip) {
    let (codebooks, vocab) = (6, 1_027);
    let sampling = Sampling::new(Mode::Exact, SamplingParams::new(0.9, 50), 0, Dtype::Float32);
    clip.frames = Codes::new(codebooks);
    for t in 0..750u32 {
        let codes: Vec<u32> = (0..codebooks as u32).map(|k| (t * 37 + k * 101) % vocab as u32).collect();
        let values = (0..codebooks * vocab).map(|i| ((i * 7919 + t as usize * 31) % 997) as f32 / 100.0).collect();
        let logits = Logits::new(vocab, values);
        clip.steps.push(TokenStats::measure_frame(&logits, &codes, &sampling));
        clip.logits.push(Arc::new(logits));
        clip.samplings.push(sampling);
        clip.frames.push(&codes);
    }
    clip.audio = vec![0.1; 60 * 24_000];
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
