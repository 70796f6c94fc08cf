//! Sampling settings as a table. A new setting is a field of [`SamplingParams`], an entry in [`PARAMS`] and its effect in
//! `sampling::warp`; command line, window, files, reports and `csm generate …` lines iterate over the table.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Dtype, Mode, ModelDims, NoiseSource, RangeGuard};
use crate::error::{Error, Result};

/// How the tokens of one kind of codebook are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingParams {
    /// Divides the logits; 0 is greedy.
    pub temperature: f64,
    /// Only the `top_k` most likely tokens can be drawn; ties at the last place stay. V keeps all.
    pub top_k: usize,
    /// Only the most likely tokens whose probabilities first sum to `top_p` can be drawn (nucleus sampling); 1 keeps all.
    pub top_p: f64,
    /// Only tokens of at least `min_p` times the probability of the most likely one can be drawn; 0 keeps all.
    pub min_p: f64,
    /// Makes tokens of the last frames less likely: their logits are divided by it if positive, else multiplied; 1 changes nothing.
    pub repetition_penalty: f64,
    /// Frames before the draw whose tokens of the same codebook are penalised.
    pub repetition_window: usize,
}

impl SamplingParams {
    /// The two settings that every checkpoint suggests, all others without effect.
    pub fn new(temperature: f64, top_k: usize) -> Self {
        Self { temperature, top_k, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, repetition_window: 10 }
    }

    /// Those of the `recent` tokens, the last one first, that are penalised; none without a penalty.
    pub fn penalised(self, recent: &[u32]) -> &[u32] {
        let count = if self.repetition_penalty == 1.0 { 0 } else { self.repetition_window.min(recent.len()) };
        &recent[..count]
    }

    /// Whether the most likely token is taken. A temperature so small that `logit / T` would overflow float32 is greedy too.
    pub fn is_greedy(&self) -> bool {
        self.temperature < 1e-30
    }
}

/// The two kinds of codebooks, which have their own settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Codebook 0, drawn from the backbone.
    Codebook0,
    /// Codebooks 1 to K - 1, drawn from the depth decoder.
    Depth,
}

impl Stage {
    /// Both, in the order of files.
    pub const ALL: [Self; 2] = [Self::Codebook0, Self::Depth];

    fn prefix(self) -> &'static str {
        match self {
            Self::Codebook0 => "",
            Self::Depth => "depth_",
        }
    }
}

/// The kind of number of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// A real number, shown with two decimals.
    Real,
    /// A whole number of candidates.
    Count,
}

/// Properties of a sampling setting.
pub struct Param {
    /// Key in token files; with `depth_` before it for the depth decoder.
    pub key: &'static str,
    /// Key in `generation_config.json`, with `depth_decoder_` before it for the depth decoder; `None` if transformers has nothing like it.
    pub generation_key: Option<&'static str>,
    /// Name in the window.
    pub label: &'static str,
    /// Symbol in one-line summaries.
    pub symbol: &'static str,
    /// One line for help texts.
    pub help: &'static str,
    /// Whether it is one of the settings that few users change.
    pub advanced: bool,
    /// Whether it is real or a count.
    pub kind: ParamKind,
    /// Value where neither user nor checkpoint names one.
    pub default: f64,
    /// Value of files that lack the key; `None` if the key is required.
    pub absent: Option<f64>,
    /// Largest value that the window offers.
    pub slider_max: fn(&ModelDims) -> f64,
    /// Valid values for a model of these sizes.
    pub range: fn(&ModelDims) -> RangeInclusive<f64>,
    /// Valid values in words.
    pub expected: fn(&ModelDims) -> String,
    /// Reads the setting's value.
    pub get: fn(&SamplingParams) -> f64,
    /// Changes the setting's value.
    pub set: fn(&mut SamplingParams, f64),
}

/// Most frames that a repetition penalty can look at.
pub const LONGEST_WINDOW: usize = 64;

/// Every sampling setting, in the order of flags and widgets.
pub static PARAMS: &[Param] = &[
    Param {
        key: "temperature",
        generation_key: Some("temperature"),
        label: "Temperature",
        symbol: "T",
        help: "Temperature; 0 is greedy",
        advanced: false,
        kind: ParamKind::Real,
        default: 0.9,
        absent: None,
        slider_max: |_| 5.0,
        range: |_| 0.0..=f64::MAX,
        expected: |_| "0 (greedy) or a positive number".into(),
        get: |p| p.temperature,
        set: |p, value| p.temperature = value,
    },
    Param {
        key: "topk",
        generation_key: Some("top_k"),
        label: "Top-k",
        symbol: "k",
        help: "Draw from the K most likely tokens",
        advanced: false,
        kind: ParamKind::Count,
        default: 50.0,
        absent: None,
        slider_max: |dims| dims.vocab as f64,
        range: |dims| 1.0..=dims.vocab as f64,
        expected: |dims| format!("1 to {} (the vocabulary)", dims.vocab),
        get: |p| p.top_k as f64,
        set: |p, value| p.top_k = value as usize,
    },
    Param {
        key: "top_p",
        generation_key: Some("top_p"),
        label: "Top-p",
        symbol: "top-p",
        help: "Draw from the most likely tokens whose probabilities sum to X; 1 keeps all",
        advanced: false,
        kind: ParamKind::Real,
        default: 1.0,
        absent: Some(1.0),
        slider_max: |_| 1.0,
        range: |_| 0.0..=1.0,
        expected: |_| "0 to 1 (1 keeps all)".into(),
        get: |p| p.top_p,
        set: |p, value| p.top_p = value,
    },
    Param {
        key: "min_p",
        generation_key: Some("min_p"),
        label: "Min-p",
        symbol: "min-p",
        help: "Draw from tokens of at least X times the probability of the most likely one; 0 keeps all",
        advanced: false,
        kind: ParamKind::Real,
        default: 0.0,
        absent: Some(0.0),
        slider_max: |_| 1.0,
        range: |_| 0.0..=1.0,
        expected: |_| "0 to 1 (0 keeps all)".into(),
        get: |p| p.min_p,
        set: |p, value| p.min_p = value,
    },
    Param {
        key: "repetition_penalty",
        generation_key: None, // transformers penalises tokens of its whole input, which begins with the text's
        label: "Repetition penalty",
        symbol: "repetition",
        help: "Penalty of tokens of the last frames in the same codebook; 1 is none",
        advanced: true,
        kind: ParamKind::Real,
        default: 1.0,
        absent: Some(1.0),
        slider_max: |_| 2.0,
        range: |_| 0.1..=10.0,
        expected: |_| "0.1 to 10 (1 is no penalty)".into(),
        get: |p| p.repetition_penalty,
        set: |p, value| p.repetition_penalty = value,
    },
    Param {
        key: "repetition_window",
        generation_key: None,
        label: "Penalty window",
        symbol: "window",
        help: "Frames before a draw whose tokens the repetition penalty applies to",
        advanced: true,
        kind: ParamKind::Count,
        default: 10.0,
        absent: Some(10.0),
        slider_max: |_| LONGEST_WINDOW as f64,
        range: |_| 1.0..=LONGEST_WINDOW as f64,
        expected: |_| format!("1 to {LONGEST_WINDOW} frames"),
        get: |p| p.repetition_window as f64,
        set: |p, value| p.repetition_window = value as usize,
    },
];

impl Param {
    /// Key of the setting for `stage`, as in token files.
    pub fn key_of(&self, stage: Stage) -> String {
        format!("{}{}", stage.prefix(), self.key)
    }

    fn number(&self, value: f64) -> serde_json::Value {
        match self.kind {
            ParamKind::Real => value.into(),
            ParamKind::Count => (value as u64).into(),
        }
    }
}

/// Everything besides the prompt that decides which tokens are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// How the clip is computed and sampled.
    pub mode: Mode,
    /// Settings of codebook 0.
    pub codebook0: SamplingParams,
    /// Settings of the other codebooks.
    pub depth: SamplingParams,
    /// Seed of the random stream.
    pub seed: u64,
    /// Ids that are never drawn.
    pub guard: Option<RangeGuard>,
    /// Number type of the language model's computation.
    pub precision: Dtype,
}

impl Sampling {
    /// One set of settings for all codebooks, without a guard.
    pub fn new(mode: Mode, params: SamplingParams, seed: u64, precision: Dtype) -> Self {
        Self { mode, codebook0: params, depth: params, seed, guard: None, precision }
    }

    /// Settings that a checkpoint suggests. `suggestion` looks a key of `generation_config.json` up; a missing depth key
    /// takes codebook 0's value, a missing value the table's default. Values are limited to their range.
    pub fn suggested(
        mode: Mode,
        seed: u64,
        precision: Dtype,
        dims: &ModelDims,
        suggestion: impl Fn(&str) -> Option<f64>,
    ) -> Self {
        let mut sampling = Self::new(mode, SamplingParams::new(0.0, 1), seed, precision);
        for param in PARAMS {
            let range = (param.range)(dims);
            let limit = |value: f64| value.clamp(*range.start(), *range.end());
            let first = param.generation_key.and_then(&suggestion).unwrap_or(param.default);
            let depth_key = param.generation_key.map(|key| format!("depth_decoder_{key}"));
            let depth = depth_key.and_then(|key| suggestion(&key)).unwrap_or(first);
            (param.set)(&mut sampling.codebook0, limit(first));
            (param.set)(&mut sampling.depth, limit(depth));
        }
        sampling
    }

    /// Settings of codebook 0 or of the others.
    pub fn stage(&self, stage: Stage) -> &SamplingParams {
        match stage {
            Stage::Codebook0 => &self.codebook0,
            Stage::Depth => &self.depth,
        }
    }

    /// Settings of `stage`, to change.
    pub fn stage_mut(&mut self, stage: Stage) -> &mut SamplingParams {
        match stage {
            Stage::Codebook0 => &mut self.codebook0,
            Stage::Depth => &mut self.depth,
        }
    }

    /// Whether draws depend on the tokens of the frames before.
    pub fn penalises_repetition(&self) -> bool {
        Stage::ALL.into_iter().any(|stage| self.stage(stage).repetition_penalty != 1.0)
    }

    /// Settings of the draws of `codebook`.
    pub fn params_for(&self, codebook: usize) -> SamplingParams {
        if codebook == 0 { self.codebook0 } else { self.depth }
    }

    /// Whether two settings draw from the same noise, so that equal logits give equal tokens.
    pub fn shares_noise_with(&self, other: &Self) -> bool {
        let noise = |s: &Self| match s.mode.info().noise {
            NoiseSource::TorchStream => Some(NoiseSource::TorchStream),
            // Two native draws of one seed share their key, but MLX and this crate's copy of its noise may differ in the last bit.
            NoiseSource::MlxKey => None,
        };
        self.seed == other.seed && noise(self).is_some() && noise(self) == noise(other)
    }

    /// Whether PyTorch draws the same tokens from the same logits: its noise is used, in float32.
    pub fn reproduces_torch(&self) -> bool {
        match self.mode.info().noise {
            NoiseSource::TorchStream => self.precision == Dtype::Float32,
            NoiseSource::MlxKey => false,
        }
    }

    /// Checks every value against the model.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] with the setting's key.
    pub fn check(&self, dims: &ModelDims) -> Result<()> {
        for stage in Stage::ALL {
            for param in PARAMS {
                let value = (param.get)(self.stage(stage));
                if !(param.range)(dims).contains(&value) {
                    return Err(Error::invalid(param.key_of(stage), (param.expected)(dims), value));
                }
            }
        }
        match self.guard {
            Some(guard) if guard.range().1 as usize >= dims.vocab => {
                Err(Error::invalid("guard_range", format!("ids up to {}", dims.vocab - 1), guard))
            }
            _ => Ok(()),
        }
    }

    /// Mode, settings and seed on one line; the depth decoder's settings if they differ.
    pub fn summary(&self) -> String {
        let mut out = self.mode.name().to_owned();
        for param in PARAMS {
            let (first, depth) = ((param.get)(&self.codebook0), (param.get)(&self.depth));
            if param.absent == Some(first) && first == depth {
                continue;
            }
            out += &format!(", {} {first}", param.symbol);
            if first != depth {
                out += &format!("/{depth}");
            }
        }
        out + &format!(", seed {}", self.seed)
    }
}

/// The flat form of token files: `{"mode", "temperature", "topk", "depth_temperature", "depth_topk", "seed", "guard", "precision"}`.
impl Serialize for Sampling {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("mode", &self.mode)?;
        for stage in Stage::ALL {
            for param in PARAMS {
                let value = (param.get)(self.stage(stage));
                if param.absent != Some(value) {
                    map.serialize_entry(&param.key_of(stage), &param.number(value))?;
                }
            }
        }
        map.serialize_entry("seed", &self.seed)?;
        map.serialize_entry("guard", &self.guard)?;
        map.serialize_entry("precision", &self.precision)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Sampling {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fixed {
            mode: Mode,
            seed: u64,
            #[serde(default)]
            guard: Option<RangeGuard>,
            precision: Dtype,
            #[serde(flatten)]
            params: HashMap<String, serde_json::Value>,
        }
        let fixed = Fixed::deserialize(deserializer)?;
        let mut sampling = Self::new(fixed.mode, SamplingParams::new(0.0, 1), fixed.seed, fixed.precision);
        sampling.guard = fixed.guard;
        for stage in Stage::ALL {
            for param in PARAMS {
                let key = param.key_of(stage);
                let value = match (fixed.params.get(&key), param.absent) {
                    (Some(value), _) => match param.kind {
                        ParamKind::Real => value.as_f64(),
                        ParamKind::Count => value.as_u64().map(|n| n as f64),
                    },
                    (None, absent @ Some(_)) => absent,
                    (None, None) => return Err(D::Error::custom(format!("missing field `{key}`"))),
                };
                let value = value.ok_or_else(|| D::Error::custom(format!("{key}: expected a number")))?;
                (param.set)(sampling.stage_mut(stage), value);
            }
        }
        Ok(sampling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIMS: ModelDims =
        ModelDims { codebooks: 2, vocab: 20, codec_size: 17, frame_rate: 12.5, sample_rate: 24_000, max_positions: 9 };

    #[test]
    fn settings_keep_their_form_in_files() {
        let text = r#"{"mode":"exact","temperature":0.9,"topk":50,"depth_temperature":0.7,"depth_topk":3,"seed":18446744073709551615,"guard":"1-31","precision":"float32"}"#;
        let sampling: Sampling = serde_json::from_str(text).unwrap();
        assert_eq!((sampling.depth, sampling.seed), (SamplingParams::new(0.7, 3), u64::MAX));
        assert_eq!(serde_json::to_string(&sampling).unwrap(), text);
        assert!(
            serde_json::from_str::<Sampling>(&text.replace("\"topk\":50,", ""))
                .unwrap_err()
                .to_string()
                .contains("topk")
        );
        assert_eq!(sampling.summary(), "exact, T 0.9/0.7, k 50/3, seed 18446744073709551615");
    }

    #[test]
    fn suggestions_are_followed_and_limited() {
        let suggest = |key: &str| {
            [("temperature", 0.6), ("depth_decoder_top_k", 99.0)].iter().find(|(k, _)| *k == key).map(|(_, v)| *v)
        };
        let s = Sampling::suggested(Mode::Native, 1, Dtype::Float32, &DIMS, suggest);
        assert_eq!((s.codebook0, s.depth), (SamplingParams::new(0.6, 20), SamplingParams::new(0.6, 20)));
        s.check(&DIMS).unwrap();
    }

    #[test]
    fn settings_without_effect_are_left_out_of_files() {
        let mut s = Sampling::new(Mode::Exact, SamplingParams::new(0.9, 5), 1, Dtype::Float32);
        let plain = serde_json::to_string(&s).unwrap();
        assert!(!plain.contains("top_p") && !plain.contains("min_p"), "{plain}");
        (s.codebook0.top_p, s.depth.min_p) = (0.9, 0.05);
        let text = serde_json::to_string(&s).unwrap();
        assert!(text.contains(r#""top_p":0.9"#) && text.contains(r#""depth_min_p":0.05"#), "{text}");
        assert_eq!(serde_json::from_str::<Sampling>(&text).unwrap(), s);
        assert_eq!(s.summary(), "exact, T 0.9, k 5, top-p 0.9/1, min-p 0/0.05, seed 1");
    }

    #[test]
    fn values_out_of_range_name_their_key() {
        let mut s = Sampling::new(Mode::Native, SamplingParams::new(0.5, 5), 0, Dtype::Float32);
        s.depth.top_k = 21;
        assert!(s.check(&DIMS).unwrap_err().to_string().starts_with("depth_topk: expected 1 to 20"));
        s.depth = SamplingParams::new(f64::NAN, 5);
        assert!(s.check(&DIMS).unwrap_err().to_string().starts_with("depth_temperature"));
    }
}
