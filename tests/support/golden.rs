//! A golden: the checkpoint it is about, and what transformers answered.

use std::path::{Path, PathBuf};

use csm_studio::checkpoint::Checkpoint;
use csm_studio::data::{ClipSpec, Codes, Mode, Prompt, Turn};
use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{formula, repository};

#[derive(Deserialize)]
pub struct Manifest {
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    config: serde_json::Value,
    #[serde(default)]
    files: Vec<File>,
    #[serde(default)]
    sha256: String,
    index: Option<serde_json::Value>,
    #[serde(default)]
    overrides: Vec<Override>,
    zero_column: Option<f32>,
    pub cases: Vec<Case>,
    pub reply: Option<Reply>,
}

#[derive(Deserialize)]
struct File {
    file: String,
    tensors: Vec<Tensor>,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    offset: f32,
    scale: f32,
}

#[derive(Deserialize)]
struct Override {
    tensor: String,
    first: usize,
    step: usize,
    offset: f32,
    scale: f32,
}

#[derive(Deserialize)]
pub struct Case {
    pub name: String,
    pub speaker: u32,
    pub text: String,
    pub text_ids: Vec<u32>,
    pub context: Vec<Context>,
    /// Cap of the sampled clips.
    pub frames: usize,
    /// Cap of the greedy clip.
    pub greedy_cap: usize,
    pub ended: bool,
    pub audio_frames: usize,
    pub sampled: Vec<Sampled>,
}

#[derive(Deserialize)]
pub struct Context {
    pub speaker: u32,
    pub text: String,
    pub samples: usize,
    pub wave: String,
}

#[derive(Deserialize)]
pub struct Sampled {
    pub tensor: String,
    pub seed: u64,
    pub settings: (f64, usize, f64, usize),
    pub ended: bool,
}

/// A turn of the demo voice that follows another one of it.
#[derive(Deserialize)]
pub struct Reply {
    pub before: String,
    pub before_speaker: u32,
    pub before_text: String,
    pub speaker: u32,
    pub text: String,
    pub seed: u64,
    pub settings: (f64, usize, f64, usize),
    pub tensor: String,
    pub ended: bool,
}

/// Changes a tensor's values: its name, shape and numbers.
pub type ChangeWeights<'a> = &'a dyn Fn(&str, &[usize], &mut Vec<f32>);

/// Changes that make a wrong checkpoint of a right one.
#[derive(Default)]
pub struct Wrong<'a> {
    pub config: Option<&'a dyn Fn(&mut serde_json::Value)>,
    pub weights: Option<ChangeWeights<'a>>,
}

pub struct Golden {
    pub manifest: Manifest,
    answers: Vec<u8>,
}

impl Golden {
    pub fn read(name: &str) -> Self {
        let file = |kind: &str| std::fs::read(repository(&format!("tests/goldens/{name}.{kind}"))).unwrap();
        Self { manifest: serde_json::from_slice(&file("json")).unwrap(), answers: file("safetensors") }
    }

    /// The checkpoint's folder, built from the manifest; its weights are those that transformers read, to the bit.
    pub fn build(&self) -> TempDir {
        let (folder, digest) = self.build_wrong(&Wrong::default());
        assert_eq!(digest, self.manifest.sha256, "the rebuilt weights are not the golden's");
        folder
    }

    /// A copy with an error in it; also gives the SHA-256 of its weights.
    pub fn build_wrong(&self, wrong: &Wrong<'_>) -> (TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let mut config = self.manifest.config.clone();
        if let Some(change) = wrong.config {
            change(&mut config);
        }
        let write = |name: &str, json: &serde_json::Value| {
            std::fs::write(folder.path().join(name), serde_json::to_vec(json).unwrap()).unwrap();
        };
        write("config.json", &config);
        if let Some(index) = &self.manifest.index {
            write("model.safetensors.index.json", index);
        }
        std::fs::copy(repository("assets/voice/tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
        let mut digest = Sha256::new();
        for file in &self.manifest.files {
            let tensors: Vec<(String, Vec<u8>)> =
                file.tensors.iter().map(|t| (t.name.clone(), self.bytes_of(t, wrong))).collect();
            tensors.iter().for_each(|(_, bytes)| digest.update(bytes));
            write_tensors(&folder.path().join(&file.file), &file.tensors, &tensors);
        }
        let digest = digest.finalize().iter().map(|b| format!("{b:02x}")).collect();
        (folder, digest)
    }

    fn bytes_of(&self, t: &Tensor, wrong: &Wrong<'_>) -> Vec<u8> {
        let (seed, count) = (self.manifest.seed, t.shape.iter().product());
        let mut values = formula::values(&t.name, seed, count, t.offset, t.scale);
        let row = count / t.shape[0];
        for o in self.manifest.overrides.iter().filter(|o| o.tensor == t.name) {
            let other = formula::values(&format!("{}.override", t.name), seed, count, o.offset, o.scale);
            for r in (o.first..t.shape[0]).step_by(o.step) {
                values[r * row..(r + 1) * row].copy_from_slice(&other[r * row..(r + 1) * row]);
            }
        }
        if let Some(number) = self.manifest.zero_column
            && t.name == "depth_decoder.codebooks_head.weight"
        {
            values.iter_mut().step_by(t.shape[2]).for_each(|v| *v = number);
        }
        if let Some(change) = wrong.weights {
            change(&t.name, &t.shape, &mut values);
        }
        match t.dtype.as_str() {
            "float32" => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            "bfloat16" => values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect(),
            "float16" => values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
            other => panic!("{other}"),
        }
    }

    /// A stored tensor of floats, flat.
    pub fn floats(&self, name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.answers).unwrap();
        let view = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(view.dtype(), Dtype::F32, "{name}");
        view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    /// Stored tokens, `[T][K]`.
    pub fn tokens(&self, name: &str) -> Codes {
        let file = SafeTensors::deserialize(&self.answers).unwrap();
        let view = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(view.dtype(), Dtype::I32, "{name}");
        let ids: Vec<u32> = view.data().chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect();
        Codes::from_ids(view.shape()[1], ids).unwrap()
    }

    /// Context turns of `case` with the codes from transformers' encoder.
    pub fn turns(&self, case: &Case) -> Vec<Turn> {
        let turn = |(n, c): (usize, &Context)| Turn {
            speaker: c.speaker,
            text: c.text.clone(),
            frames: self.tokens(&format!("{}/context{n}/codes", case.name)),
        };
        case.context.iter().enumerate().map(turn).collect()
    }

    /// The prompt of `case`.
    pub fn prompt(&self, checkpoint: &Checkpoint, case: &Case) -> Prompt {
        let sampling = checkpoint.suggested_sampling(Mode::Exact, 0);
        let spec = ClipSpec { context: self.turns(case), ..ClipSpec::new(&case.text, case.speaker, sampling) };
        checkpoint.prompt(&spec).unwrap()
    }

    /// The waveform of a context segment.
    pub fn wave(&self, context: &Context) -> Vec<f32> {
        formula::wave(&context.wave, self.manifest.seed, context.samples)
    }
}

fn write_tensors(path: &PathBuf, list: &[Tensor], data: &[(String, Vec<u8>)]) {
    let views = list.iter().zip(data).map(|(t, (name, bytes))| {
        let dtype = match t.dtype.as_str() {
            "float32" => Dtype::F32,
            "bfloat16" => Dtype::BF16,
            _ => Dtype::F16,
        };
        (name.clone(), TensorView::new(dtype, t.shape.clone(), bytes).unwrap())
    });
    safetensors::serialize_to_file(views, None, Path::new(path)).unwrap();
}
