//! candle-transformers' CSM: `candle-peer WEIGHTS IDS FRAMES SEED`, weights in the original's layout, prompt ids separated
//! by commas. Computes in float32, two frames to warm up, and prints one line of JSON.

use std::time::Instant;

use candle_core::{DType, Device, Result};
use candle_nn::VarBuilder;
use candle_transformers::generation::{LogitsProcessor, Sampling};
use candle_transformers::models::csm::{Config, Flavor, Model};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [weights, ids, frames, seed] = arguments.as_slice() else {
        panic!("usage: candle-peer WEIGHTS IDS FRAMES SEED");
    };
    let ids: Vec<u32> = ids.split(',').map(|id| id.parse().expect("an id")).collect();
    let (frames, seed): (usize, u64) = (frames.parse().expect("a number"), seed.parse().expect("a number"));
    let config = Config {
        audio_num_codebooks: 32,
        audio_vocab_size: 2051,
        backbone_flavor: Flavor::Llama1B,
        decoder_flavor: Flavor::Llama100M,
        text_vocab_size: 128_256,
    };
    // SAFETY: nobody changes the file meanwhile.
    let builder = unsafe { VarBuilder::from_mmaped_safetensors(&[weights], DType::F32, &Device::Cpu)? };
    let mut model = Model::new(&config, builder)?;
    let mut run = |frames: usize, seed: u64| -> Result<f64> {
        let mut sampler = LogitsProcessor::from_sampling(seed, Sampling::TopK { k: 50, temperature: 0.9 });
        model.clear_kv_cache();
        let started = Instant::now();
        let (mut tokens, mut mask) = model.text_tokens_and_mask(&ids)?;
        let mut position = 0;
        for _ in 0..frames {
            let frame = model.generate_frame(&tokens, &mask, position, &mut sampler)?;
            position += tokens.dim(1)?;
            (tokens, mask) = model.audio_tokens_and_mask(frame)?;
        }
        Ok(started.elapsed().as_secs_f64())
    };
    run(2, seed)?;
    let seconds = run(frames, seed)?;
    println!("{}", serde_json::json!({"seconds": seconds, "frames": frames}));
    Ok(())
}
