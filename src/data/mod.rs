//! Plain data that every layer speaks: sizes, codes, settings, clips and their files. Values are checked once, where they enter;
//! nothing here knows a model, a device or a front end.

mod clip_spec;
mod codes;
pub mod command_line;
mod dims;
mod dtype;
mod finish;
mod guard;
mod logits;
mod mode;
mod model_info;
mod params;
mod prompt;
mod random;
mod token_file;

pub use clip_spec::{ClipSpec, Edit, Turn};
pub use codes::{Codes, is_end_frame};
pub use dims::ModelDims;
pub use dtype::Dtype;
pub use finish::{Finding, FinishReason, SILENCE_LEVEL};
pub use guard::RangeGuard;
pub use logits::Logits;
pub use mode::{Backend, Mode, ModeInfo, NoiseSource};
pub use model_info::{Labels, ModelId, ModelInfo, Voice};
pub use params::{PARAMS, Param, ParamKind, Sampling, SamplingParams, Stage};
pub use prompt::{Position, Prompt, PromptStyle, is_speakable};
pub use random::RepeatableRandom;
pub use token_file::{FORMAT, TokenFile, VERSION};
