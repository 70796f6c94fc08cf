//! What the tests share: golden checkpoints rebuilt from their manifests, and transformers' answers.

pub mod formula;
pub mod golden;
pub mod layout;
pub mod test_dir;

use std::path::PathBuf;

use csm_studio::data::ModelDims;

/// A file or folder of the repository.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Largest absolute difference.
pub fn max_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "lengths");
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Sizes of the demo voice.
pub fn demo_dims() -> ModelDims {
    ModelDims {
        codebooks: 6,
        vocab: 1_027,
        codec_size: 1_024,
        frame_rate: 12.5,
        sample_rate: 24_000,
        max_positions: 2_048,
    }
}
