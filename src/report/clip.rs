//! One clip of a report.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::page_content::{ClipSound, FrameCandidates};
use crate::acoustics::distances::SoundFeatures;
use crate::acoustics::measures::{Sound, SoundValues};
use crate::analysis::clip::{CodebookStats, RepetitionStats, trailing_silence};
use crate::analysis::statistics::{STEP_STATISTICS, Stat, TokenStats};
use crate::analysis::word_errors::{WordErrors, words};
use crate::data::issue::{LONG_SILENCE, REPEATED_FRAMES};
use crate::data::{Clip, Codes, FinishReason, Issue, ModelId, ModelInfo, SILENCE_LEVEL, Sampling, WordTime};

/// Why a clip's draws have no statistics.
#[derive(Clone, Debug, PartialEq)]
pub enum StepsUnavailable {
    /// The user did not ask for them.
    NotRequested,
    /// They have not been computed in the window.
    NotComputed,
    /// The clip was made by another model.
    OtherModel(ModelId),
    /// The file does not say how the clip was made: what is missing.
    NotReproducible(String),
    /// An all-zero frame in the file's middle would end the clip there.
    Incomplete {
        /// Index of that frame.
        frame: usize,
    },
    /// It is a recording: it has a sound and no tokens.
    NoTokens,
    /// They are those of the first clip, which has the same tokens up to the first difference.
    SameAsFirst,
}

impl std::fmt::Display for StepsUnavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotRequested => write!(f, "not requested"),
            Self::NotComputed => write!(f, "not computed yet; open the take first"),
            Self::OtherModel(model) => write!(f, "made by another model ({}); open that model to see them", model.name),
            Self::NotReproducible(missing) => write!(f, "{missing}"),
            Self::Incomplete { frame } => write!(f, "frame {frame} is all zeros, which ends the speech"),
            Self::NoTokens => write!(f, "a recording has no tokens"),
            Self::SameAsFirst => write!(f, "see the first clip"),
        }
    }
}

impl Serialize for StepsUnavailable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The report of one clip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClipReport {
    /// Its name in the report.
    pub name: String,
    /// The text, if known.
    pub text: Option<String>,
    /// Speaker number, if recorded.
    pub speaker: Option<u32>,
    /// Settings at the start.
    pub sampling: Option<Sampling>,
    /// Why it ended; `None` if the file does not say.
    pub stop: Option<FinishReason>,
    /// Its length in frames.
    pub frames: usize,
    /// Repetitions of frames and tokens.
    pub repetition: RepetitionStats,
    /// Silence at its end, seconds, if its waveform was computed.
    pub trailing_silence: Option<f64>,
    /// Measures of its sound, if it was measured.
    pub acoustics: Option<SoundValues>,
    /// Word errors of the transcript, if a recogniser was used.
    pub word_errors: Option<WordErrors>,
    /// Why the recogniser gave no transcript, if it failed.
    pub recogniser_failed: Option<String>,
    /// Statistics of its codebooks.
    pub codebooks: Vec<CodebookStats>,
    /// Means over its draws by codebook and statistic, where the draws were computed.
    #[serde(serialize_with = "means_as_json")]
    pub means: Option<Vec<TokenMeans>>,
    /// Why they were not.
    pub steps_unavailable: Option<StepsUnavailable>,
    /// Its words, if their times are known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<WordReport>,
    /// Codes of the clip, `[T][K]`.
    #[serde(skip)]
    pub codes: Codes,
    /// Statistics of its draws, `[T][K]`.
    #[serde(skip)]
    pub steps: Option<Vec<Vec<TokenStats>>>,
    /// Acoustic features for comparison with other clips.
    #[serde(skip)]
    pub(super) features: Option<SoundFeatures>,
    /// Its sound, for a page that plays it.
    #[serde(skip)]
    pub sound: Option<ClipSound>,
    /// Candidates of its draws, `[T][K]`, for a page that lists them.
    #[serde(skip)]
    pub candidates: Option<Vec<FrameCandidates>>,
}

/// A word of a clip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WordReport {
    /// The word as it is written.
    pub word: String,
    /// Its beginning in seconds.
    pub start: f64,
    /// Its end in seconds.
    pub end: f64,
    /// Share of the attention that is near the word while it is spoken, 0 to 1.
    pub confidence: f64,
    /// Mean surprisal of its tokens in bits, over all codebooks, if the draws were computed.
    pub surprisal_bits: Option<f64>,
    /// Mean entropy of its draws in bits.
    pub entropy_bits: Option<f64>,
}

/// Means of the statistics that tables show, in the table's order.
pub type TokenMeans = Vec<(Stat, f64)>;

fn means_as_json<S: Serializer>(means: &Option<Vec<TokenMeans>>, serializer: S) -> Result<S::Ok, S::Error> {
    let row = |means: &TokenMeans| {
        let field = |(stat, mean): &(Stat, f64)| (STEP_STATISTICS[*stat as usize].key.to_owned(), Value::from(*mean));
        means.iter().map(field).collect::<Map<_, _>>()
    };
    means.as_ref().map(|rows| rows.iter().map(row).collect::<Vec<_>>()).serialize(serializer)
}

impl ClipReport {
    /// Reports `clip`. `stats` are the statistics of its draws, `[T][K]`, or why there are none.
    pub fn new(
        name: String,
        clip: &Clip,
        stats: Result<Vec<Vec<TokenStats>>, StepsUnavailable>,
        model: &ModelInfo,
    ) -> Self {
        let codes = clip.codes.clone();
        let silence = || trailing_silence(&clip.audio, SILENCE_LEVEL) as f64 / clip.sample_rate.max(1) as f64;
        let (steps, steps_unavailable) = match stats {
            Ok(stats) => (Some(stats), None),
            Err(reason) => (None, Some(reason)),
        };
        let codebooks = 0..model.dims.codebooks;
        Self {
            name,
            text: clip.origin.text.clone(),
            speaker: clip.origin.speaker,
            sampling: clip.origin.sampling,
            stop: clip.stop,
            frames: codes.len(),
            repetition: RepetitionStats::measure(&codes),
            trailing_silence: (!clip.audio.is_empty()).then(silence),
            acoustics: None,
            word_errors: None,
            recogniser_failed: None,
            codebooks: codebooks.clone().map(|k| CodebookStats::measure(&codes, k, &model.dims)).collect(),
            means: steps.as_deref().map(|s| codebooks.map(|k| means(s, k)).collect()),
            steps_unavailable,
            words: Vec::new(),
            codes,
            steps,
            features: None,
            sound: None,
            candidates: None,
        }
    }

    /// Adds acoustic measures of a waveform at `rate` samples per second.
    pub fn with_acoustics(mut self, audio: &[f32], rate: usize) -> Self {
        let said = self.text.as_deref().map(|text| words(text).len()).filter(|words| *words > 0);
        self.acoustics = Some(SoundValues::measure(&Sound::new(audio, rate, said)));
        self.features = Some(SoundFeatures::new(audio, rate));
        self
    }

    /// Adds the words with their times, in frames of `frame_seconds`.
    pub fn with_words(mut self, words: &[WordTime], frame_seconds: f64) -> Self {
        let report = |word: &WordTime| {
            let frame = |seconds: f64| (seconds / frame_seconds).round() as usize;
            let (first, end) = (frame(word.start), frame(word.end).max(frame(word.start) + 1));
            let mean = |stat: Stat| {
                let draws = self.steps.iter().flat_map(|steps| steps.iter().take(end).skip(first)).flatten();
                let values: Vec<f64> = draws.map(|draw| draw[stat]).filter(|value| value.is_finite()).collect();
                (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
            };
            let (surprisal_bits, entropy_bits) = (mean(Stat::Surprisal), mean(Stat::Entropy));
            let WordTime { word, start, end, confidence, .. } = word.clone();
            WordReport { word, start, end, confidence, surprisal_bits, entropy_bits }
        };
        self.words = words.iter().map(report).collect();
        self
    }

    /// Problems that count when clips are ranked.
    pub fn issues(&self) -> Vec<Issue> {
        let measured = |key: &str| self.acoustics.as_ref().and_then(|values| values.get(key));
        let ended = self.stop.and_then(|stop| Issue::of_stop(stop, self.frames));
        let empty = (self.frames == 0).then_some(Issue::Empty).filter(|_| ended != Some(Issue::Empty));
        let repetition =
            Issue::Repeating { from: self.repetition.longest_run_from, frames: self.repetition.longest_run };
        let repeated = (self.repetition.longest_run >= REPEATED_FRAMES.rank).then_some(repetition);
        let pause = measured("longest_pause_s").filter(|seconds| *seconds >= LONG_SILENCE);
        let silence = self.trailing_silence.filter(|seconds| *seconds >= LONG_SILENCE);
        let clipped = measured("clipped_samples").filter(|samples| *samples > 0.0);
        let rest = [
            repeated,
            pause.map(|seconds| Issue::Pause { seconds }),
            silence.map(|seconds| Issue::TrailingSilence { seconds }),
            clipped.map(|samples| Issue::Clipping { samples: samples as usize }),
        ];
        ended.into_iter().chain(empty).chain(rest.into_iter().flatten()).collect()
    }

    /// Adds the transcript of a recogniser, or why there is none.
    pub fn with_transcript(mut self, transcript: Result<String, String>) -> Self {
        match transcript {
            Ok(words) => self.word_errors = self.text.as_deref().and_then(|text| WordErrors::measure(text, &words)),
            Err(problem) => self.recogniser_failed = Some(problem),
        }
        self
    }

    /// Adds what only a page shows: the sound, and the candidates of the draws if all of them are known.
    pub fn with_page_content(mut self, sound: Option<ClipSound>, candidates: Vec<FrameCandidates>) -> Self {
        self.sound = sound;
        self.candidates = (candidates.len() == self.codes.len() && self.steps.is_some()).then_some(candidates);
        self
    }

    /// Length, settings and end on one line.
    pub fn headline(&self, model: &ModelInfo) -> String {
        let stop = self.stop.map_or("the file does not say how it ended", FinishReason::describe);
        let mut parts = match &self.steps_unavailable {
            Some(reason @ StepsUnavailable::NoTokens) => vec![reason.to_string()],
            _ => vec![format!("{} frames, {:.2} s, {stop}", self.frames, model.dims.seconds(self.frames))],
        };
        parts.extend(self.sampling.map(|s| s.summary()));
        let r = &self.repetition;
        if r.longest_run > 1 {
            parts.push(format!("at most {} equal frames in a row (from frame {})", r.longest_run, r.longest_run_from));
        }
        if r.zero_frames > 0 {
            parts.push(format!("{} all-zero frames", r.zero_frames));
        }
        parts.extend(self.trailing_silence.map(|s| format!("{s:.2} s of silence at the end")));
        parts.join("; ")
    }
}

fn means(steps: &[Vec<TokenStats>], codebook: usize) -> TokenMeans {
    let mean = |stat: Stat| {
        let values = steps.iter().map(|frame| frame[codebook][stat]).filter(|v| v.is_finite());
        let (n, sum) = values.fold((0usize, 0.0), |(n, sum), v| (n + 1, sum + v));
        sum / n.max(1) as f64
    };
    STEP_STATISTICS.iter().filter(|s| s.in_tables).map(|s| (s.stat, mean(s.stat))).collect()
}
