//! Whether *exact* is exact on this machine: before the first clip, the demo voice draws tokens whose PyTorch values are stored.

use std::sync::OnceLock;

use serde::Deserialize;

use crate::checkpoint::Checkpoint;
use crate::data::{ClipSpec, Codes, Dtype, Mode, Sampling, SamplingParams};
use crate::engine::{Engine, FrameRequest};
use crate::error::{Error, Result};
use crate::mlx::MlxCsm;

/// The start of a clip of the demo voice by transformers on PyTorch, and the logits of its first draw (`tests/goldens/make.py`).
const STORED: &str = include_str!("../../assets/voice/exact_check.json");

/// Largest difference of a logit: three times the largest one measured, and less than a fifth of what would change a token of these draws.
const TOLERANCE: f32 = 1e-4;

static PASSED: OnceLock<ExactCheck> = OnceLock::new();

/// Scope of the check.
#[derive(Clone, Debug)]
pub struct ExactCheck {
    /// Draws, all equal to PyTorch's.
    pub draws: usize,
    /// Largest difference between a logit and PyTorch's.
    pub logit_difference: f32,
    /// The version of PyTorch whose draws were stored.
    pub torch_version: String,
}

impl ExactCheck {
    /// One line for people.
    pub fn summary(&self) -> String {
        format!("checked on this machine: {} draws equal those of PyTorch {}", self.draws, self.torch_version)
    }
}

/// The check of this process, if *exact* has been used and the check has passed.
pub fn exact_check() -> Option<&'static ExactCheck> {
    PASSED.get()
}

/// Runs the check unless it has passed in this process. Belongs to the thread that owns MLX.
///
/// # Errors
/// [`Error::Unavailable`] with the first draw that differs, and the errors of loading the demo voice.
pub(super) fn check_exact() -> Result<()> {
    if PASSED.get().is_none() {
        let check = Stored::read()?.compare()?;
        tracing::info!("exact: {}, logits within {:.1e}", check.summary(), check.logit_difference);
        PASSED.get_or_init(|| check);
    }
    Ok(())
}

#[derive(Deserialize)]
struct Stored {
    torch: String,
    text: String,
    speaker: u32,
    seed: u64,
    /// Temperature and top-k of the backbone, then of the depth decoder.
    settings: (f64, usize, f64, usize),
    /// Tokens by frame.
    frames: Vec<Vec<u32>>,
    /// Logits of the first draw.
    logits: Vec<f32>,
}

impl Stored {
    fn read() -> Result<Self> {
        serde_json::from_str(STORED).map_err(|e| Error::Engine { backend: "exact", source: e.into() })
    }

    fn compare(&self) -> Result<ExactCheck> {
        let checkpoint = Checkpoint::demo()?;
        let mut csm = MlxCsm::load(&checkpoint, Dtype::Float32)?;
        let (temperature, top_k, depth_temperature, depth_top_k) = self.settings;
        let sampling = Sampling {
            depth: SamplingParams::new(depth_temperature, depth_top_k),
            ..Sampling::new(Mode::Exact, SamplingParams::new(temperature, top_k), self.seed, Dtype::Float32)
        };
        csm.prefill(&checkpoint.prompt(&ClipSpec::new(&self.text, self.speaker, sampling))?, &Codes::default())?;
        let mut logit_difference = 0.0_f32;
        for (frame, expected) in self.frames.iter().enumerate() {
            let request = FrameRequest { frame, sampling: &sampling, forced: &[], recent: &[], observe: frame == 0 };
            let output = csm.next_frames(&[request])?.swap_remove(0);
            if let Some(logits) = output.logits {
                let differences = logits.values().iter().zip(&self.logits).map(|(ours, stored)| (ours - stored).abs());
                logit_difference = differences.fold(0.0, f32::max);
            }
            if let Some((codebook, (drawn, expected))) =
                output.codes.iter().zip(expected).enumerate().find(|(_, (drawn, expected))| drawn != expected)
            {
                return Err(differs(&format!(
                    "frame {frame}, codebook {codebook}: {drawn} is drawn, PyTorch {} draws {expected}",
                    self.torch
                )));
            }
        }
        if logit_difference > TOLERANCE {
            return Err(differs(&format!(
                "logits differ from PyTorch's by up to {logit_difference:.1e}, {TOLERANCE:.0e} is allowed"
            )));
        }
        let draws = self.frames.iter().map(Vec::len).sum();
        Ok(ExactCheck { draws, logit_difference, torch_version: self.torch.clone() })
    }
}

fn differs(how: &str) -> Error {
    Error::unavailable(
        format!("exact does not reproduce PyTorch on this machine: {how}"),
        "use hybrid, which computes with PyTorch itself, or native; `csm verify` shows more",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check passes, and fails for one token or one logit that is not PyTorch's.
    #[test]
    fn exact_is_checked_against_pytorch() {
        check_exact().unwrap();
        let check = exact_check().unwrap();
        assert!(check.draws >= 60 && check.logit_difference > 0.0, "{check:?}");
        let mut stored = Stored::read().unwrap();
        stored.frames[5][2] += 1;
        let error = stored.compare().unwrap_err();
        assert!(error.to_string().contains("frame 5, codebook 2"), "{error}");
        let mut stored = Stored::read().unwrap();
        stored.logits[17] += 0.01;
        assert!(stored.compare().unwrap_err().to_string().contains("logits differ"));
    }
}
