//! What the analysis of clips says, as data, and its forms: text, table (CSV), page (HTML), pictures.

mod page;
pub mod plots;
mod table;
mod text;

use serde::Serialize;

use crate::analysis::between::{Comparison, Group, compare, jensen_shannon};
use crate::analysis::clip::{Codebook, Course, counts, trailing_silence};
use crate::analysis::engines::{Cause, Gap, Parting};
use crate::analysis::step::Step;
use crate::checkpoint::Checkpoint;
use crate::prompt::Frame;
use crate::sampling::{Mode, Sampling};
use crate::termination::SILENCE;
use crate::tokens::{Stop, TokenFile};

pub use page::html;
pub use table::csv;
pub use text::text;

/// What each code says: K lists of strings, "" where nothing is known.
pub type Labels = Vec<Vec<String>>;

/// Sizes of the model that the clips are from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Codes a frame, K.
    pub codebooks: usize,
    /// Ids a codebook's head gives, V.
    pub vocab: usize,
    /// Ids that have a sound.
    pub codec_size: usize,
    /// Frames a second.
    pub frame_rate: f64,
    /// Samples a second.
    pub sample_rate: usize,
    /// What each code says.
    #[serde(skip)]
    pub labels: Option<Labels>,
}

impl Model {
    /// Of `checkpoint`.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        let c = &checkpoint.config;
        Self {
            name: checkpoint.name.clone(),
            codebooks: c.num_codebooks,
            vocab: c.vocab_size,
            codec_size: c.codec_config.codebook_size,
            frame_rate: c.codec_config.frame_rate(),
            sample_rate: c.codec_config.sampling_rate,
            labels: checkpoint.labels.clone(),
        }
    }

    /// `id` of `codebook`, with what it says where that is known.
    pub fn label(&self, codebook: usize, id: u32) -> String {
        match self.labels.as_ref().and_then(|l| l.get(codebook)?.get(id as usize)).filter(|l| !l.is_empty()) {
            Some(label) => format!("{id} {label}"),
            None => id.to_string(),
        }
    }
}

/// Means over a clip's draws in one codebook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Means {
    /// Of the model's entropy, bits.
    pub entropy: f64,
    /// Of the token's surprisal under the model, bits.
    pub surprisal: f64,
    /// Of the token's rank.
    pub rank: f64,
    /// Of the mass that the sampler kept.
    pub kept_mass: f64,
    /// Of the ids that the sampler kept.
    pub survivors: f64,
}

/// One clip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Clip {
    /// What the report calls it.
    pub name: String,
    /// What is said, where that is known.
    pub text: Option<String>,
    /// By whom.
    pub speaker: Option<u32>,
    /// With which settings.
    pub sampling: Option<Sampling>,
    /// Why it ended; `None` where the file does not say.
    pub stop: Option<Stop>,
    /// How it runs.
    pub course: Course,
    /// Silence at its end, seconds, where its sound was made.
    pub trailing_silence: Option<f64>,
    /// Its codebooks.
    pub codebooks: Vec<Codebook>,
    /// Means over its draws, by codebook, where they were computed.
    pub means: Option<Vec<Means>>,
    /// Why they were not.
    pub no_steps: Option<String>,
    /// Its tokens, `[T][K]`.
    #[serde(skip)]
    pub frames: Vec<Frame>,
    /// Its draws, `[T][K]`.
    #[serde(skip)]
    pub steps: Option<Vec<Vec<Step>>>,
}

impl Clip {
    /// Of a token file. `steps` are its draws, or why there are none; `audio` its sound, if it was made.
    pub fn new(
        name: String,
        file: TokenFile,
        steps: Result<Vec<Vec<Step>>, String>,
        audio: Option<&[f32]>,
        model: &Model,
    ) -> Self {
        let book = |k| Codebook::of(&file.frames, k, model.codec_size, model.vocab);
        let silence = |a: &[f32]| trailing_silence(a, SILENCE) as f64 / model.sample_rate as f64;
        let (steps, no_steps) = match steps {
            Ok(steps) => (Some(steps), None),
            Err(why) => (None, Some(why)),
        };
        Self {
            name,
            speaker: file.speaker,
            sampling: file.sampling,
            stop: file.stop,
            course: Course::of(&file.frames),
            trailing_silence: audio.map(silence),
            codebooks: (0..model.codebooks).map(book).collect(),
            means: steps.as_deref().map(|s| (0..model.codebooks).map(|k| means(s, k)).collect()),
            no_steps,
            text: file.text,
            frames: file.frames,
            steps,
        }
    }

    /// How it ended, in words.
    pub fn ending(&self) -> &'static str {
        match self.stop {
            Some(Stop::Eos) => "ended by itself",
            Some(Stop::Cap) => "stopped at the longest length",
            Some(Stop::Cancelled) => "cancelled",
            Some(Stop::Forced) => "made from given tokens",
            None => "the file does not say how it ended",
        }
    }
}

fn means(steps: &[Vec<Step>], codebook: usize) -> Means {
    let mean = |f: fn(&Step) -> f64| {
        let values = steps.iter().map(|s| f(&s[codebook])).filter(|v| v.is_finite());
        let (n, sum) = values.fold((0usize, 0.0), |(n, sum), v| (n + 1, sum + v));
        sum / n.max(1) as f64
    };
    Means {
        entropy: mean(|s| s.raw.entropy),
        surprisal: mean(|s| s.raw.surprisal),
        rank: mean(|s| s.raw.rank as f64),
        kept_mass: mean(|s| s.kept_mass),
        survivors: mean(|s| s.survivors as f64),
    }
}

/// Two groups of clips, overall and by codebook.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Groups {
    /// Name of the first.
    pub a: String,
    /// Name of the second.
    pub b: String,
    /// All codebooks together.
    pub all: Comparison,
    /// Each codebook.
    pub codebooks: Vec<Comparison>,
}

/// Two clips of one seed in two modes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// The seed.
    pub seed: u64,
    /// First mode.
    pub a: Mode,
    /// Second mode.
    pub b: Mode,
    /// Where they part; `None` where they are identical.
    pub parting: Option<Parting>,
    /// Why, where both modes share their noise.
    pub cause: Option<Cause>,
}

/// Two checkpoints on the same tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checkpoints {
    /// The reference.
    pub a: String,
    /// The other.
    pub b: String,
    /// Draws compared.
    pub steps: usize,
    /// Largest difference of two logits.
    pub difference: f32,
    /// Mean of `KL(a || b)`, bits.
    pub mean_kl: f64,
    /// Largest of them.
    pub largest_kl: f64,
    /// Share of draws with the same best id.
    pub same_best: f64,
    /// Mean share of common top-k ids.
    pub top_k_agreement: f64,
    /// Smallest margin of the reference between best and second best logit.
    pub least_margin: f32,
    /// Where clips of the same seed part; `None` where they are identical.
    pub parting: Option<Parting>,
    /// Each draw, `[T][K]`.
    #[serde(skip)]
    pub gaps: Vec<Vec<Gap>>,
}

impl Checkpoints {
    /// Of the gaps of every draw, `[T][K]`, at least one.
    pub fn new(a: &str, b: &str, gaps: Vec<Vec<Gap>>, parting: Option<Parting>) -> Self {
        let all: Vec<&Gap> = gaps.iter().flatten().collect();
        let mean = |f: fn(&Gap) -> f64| all.iter().map(|g| f(g)).sum::<f64>() / all.len() as f64;
        Self {
            a: a.into(),
            b: b.into(),
            steps: all.len(),
            difference: all.iter().map(|g| g.difference).fold(0.0, f32::max),
            mean_kl: mean(|g| g.kl),
            largest_kl: all.iter().map(|g| g.kl).fold(0.0, f64::max),
            same_best: mean(|g| f64::from(u8::from(g.same_best))),
            top_k_agreement: mean(|g| g.top_k_agreement),
            least_margin: all.iter().map(|g| g.margin).fold(f32::INFINITY, f32::min),
            parting,
            gaps,
        }
    }
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The model.
    pub model: Model,
    /// The clips.
    pub clips: Vec<Clip>,
    /// Modes against modes.
    pub groups: Vec<Groups>,
    /// Same seed, two modes.
    pub pairs: Vec<Pair>,
    /// Jensen-Shannon divergence, bits, of every clip from every other (all codebooks together), where there are two or more.
    pub distances: Vec<Vec<f64>>,
    /// Checkpoint against checkpoint.
    pub checkpoints: Option<Checkpoints>,
}

impl Report {
    /// Of `clips`. Clips of different modes are compared as groups.
    pub fn new(model: Model, clips: Vec<Clip>) -> Self {
        let (distances, groups) = (distances(&clips, &model), groups(&clips, &model));
        Self { model, clips, groups, pairs: Vec::new(), distances, checkpoints: None }
    }

    /// As JSON.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data")
    }
}

fn distances(clips: &[Clip], model: &Model) -> Vec<Vec<f64>> {
    if clips.len() < 2 {
        return Vec::new();
    }
    let histogram = |c: &Clip| (0..model.codebooks).flat_map(|k| counts(&c.frames, k, model.vocab)).collect();
    let histograms: Vec<Vec<u64>> = clips.iter().map(histogram).collect();
    histograms.iter().map(|a| histograms.iter().map(|b| jensen_shannon(a, b)).collect()).collect()
}

fn groups(clips: &[Clip], model: &Model) -> Vec<Groups> {
    let modes = [Mode::Native, Mode::Exact, Mode::Hybrid];
    let group = |mode: Mode| -> Vec<(u64, &[Frame])> {
        let of_mode = clips.iter().filter_map(|c| Some((c.sampling?, c))).filter(|(s, _)| s.mode == mode);
        of_mode.map(|(s, c)| (s.seed, c.frames.as_slice())).collect()
    };
    let mut out = Vec::new();
    for (i, a) in modes.iter().enumerate() {
        for b in &modes[i + 1..] {
            let (x, y) = (group(*a), group(*b));
            if !x.is_empty() && !y.is_empty() {
                out.push(two(a.name(), b.name(), &x, &y, model));
            }
        }
    }
    out
}

fn two(a: &str, b: &str, x: &Group<'_>, y: &Group<'_>, model: &Model) -> Groups {
    Groups {
        a: a.into(),
        b: b.into(),
        all: compare(x, y, None, model.vocab),
        codebooks: (0..model.codebooks).map(|k| compare(x, y, Some(k), model.vocab)).collect(),
    }
}
