//! A sampler of one's own: min-p (Nguyen et al. 2024) drives the model by forcing every token.
//! `cargo run --release --example own_sampler`.

use csm_studio::checkpoint::Checkpoint;
use csm_studio::data::{ClipSpec, Codes, Dtype, Mode, is_end_frame};
use csm_studio::engine::{Engine, FrameRequest};
use csm_studio::error::Result;
use csm_studio::mlx::MlxCsm;
use csm_studio::sampling::noise::TorchNoise;
use csm_studio::sampling::reference::{exponential_race, softmax};

/// Keeps the ids whose probability is at least `min_p` times that of the most likely one, and draws from those.
fn sample_min_p(logits: &[f32], min_p: f32, noise: &[f32]) -> u32 {
    let mut p = softmax(logits);
    let floor = min_p * p.iter().copied().fold(0.0, f32::max);
    p.iter_mut().filter(|p| **p < floor).for_each(|p| *p = 0.0);
    exponential_race(&p, noise) as u32
}

fn main() -> Result<()> {
    let checkpoint = Checkpoint::demo()?;
    let dims = checkpoint.dims();
    let sampling = checkpoint.suggested_sampling(Mode::Exact, 0);
    let prompt = checkpoint.prompt(&ClipSpec::new("Good morning.", 0, sampling))?;
    // An engine belongs to the thread that loads it; a program with several threads uses `WorkerHandle`.
    let mut engine = MlxCsm::load(&checkpoint, Dtype::Float32)?;
    let mut clip = Codes::new(dims.codebooks);
    while clip.len() < 30 {
        // The codebooks of a frame depend on each other, so they are drawn one by one: each pass forces those before.
        let mut forced: Vec<Option<u32>> = Vec::new();
        for codebook in 0..dims.codebooks {
            engine.prefill(&prompt, &clip)?;
            let request =
                FrameRequest { frame: clip.len(), sampling: &sampling, forced: &forced, recent: &[], observe: true };
            let Some(logits) = engine.next_frame(&request)?.logits else { break };
            let noise = TorchNoise::for_draw(sampling.seed, clip.len(), codebook, dims.codebooks, dims.vocab);
            forced.push(Some(sample_min_p(logits.row(codebook), 0.1, &noise)));
        }
        let frame: Vec<u32> = forced.into_iter().flatten().collect();
        if is_end_frame(&frame) {
            break;
        }
        clip.push(&frame);
    }
    println!("{} frames by min-p, the first {:?}", clip.len(), clip.frame(0));
    Ok(())
}
