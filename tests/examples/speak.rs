//! Speaks a sentence with the demo voice: `cargo run --release --example speak [FILE.wav]`.

use std::path::PathBuf;
use std::sync::Arc;

use csm_studio::audio::wav::{self, WavInfo};
use csm_studio::checkpoint::Checkpoint;
use csm_studio::data::{ClipSpec, Mode};
use csm_studio::engine::GenerationRequest;
use csm_studio::error::Result;
use csm_studio::worker::{CancelToken, Event, WorkerHandle};

fn main() -> Result<()> {
    let output = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("speak.wav"), PathBuf::from);
    let checkpoint = Arc::new(Checkpoint::demo()?);
    let sampling = checkpoint.suggested_sampling(Mode::Exact, 7);
    let spec = ClipSpec::new("The little boat sailed across the lake.", 1, sampling);
    let request = GenerationRequest::new(&spec, checkpoint.prompt(&spec)?, 125);

    let worker = WorkerHandle::start(checkpoint.clone(), || {})?;
    let made = worker.generate(request, CancelToken::default())?.wait(|event| {
        if let Event::Frame(event) = event {
            println!("frame {:3}: {:?}", event.frame.frame, event.frame.codes);
        }
    })?;

    let clip = made.clip;
    let info = WavInfo::for_clip(&checkpoint.id()?, &clip.origin);
    let (bytes, _clipped) = wav::encode(&clip.audio, clip.sample_rate, &info)?;
    wav::save(&output, &bytes)?;
    let end = clip.stop.map_or("", csm_studio::data::FinishReason::describe);
    println!("{}: {} frames, {end}", output.display(), clip.codes.len());
    Ok(())
}
