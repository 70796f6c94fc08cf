//! Plain data that every layer speaks: sizes, codes, settings, clips and their files. Values are checked once, where they enter;
//! nothing here knows a model, a device or a front end.

mod clip;
mod clip_spec;
mod codebook_mask;
mod codes;
pub mod command_line;
mod dims;
mod dtype;
mod finish;
mod guard;
pub mod issue;
mod logits;
mod mode;
mod model_info;
mod params;
mod prompt;
mod random;
mod token_array;
mod token_file;

pub use clip::{Clip, ClipOrigin};
pub use clip_spec::{ClipSpec, Edit, Turn};
pub use codebook_mask::CodebookMask;
pub use codes::{Codes, is_end_frame};
pub use dims::{MIMI_SAMPLE_RATE, ModelDims};
pub use dtype::Dtype;
pub use finish::FinishReason;
pub use guard::RangeGuard;
pub use issue::{Issue, SILENCE_LEVEL, Severity};
pub use logits::Logits;
pub use mode::{Backend, Mode, ModeInfo, NoiseSource};
pub use model_info::{Labels, ModelId, ModelInfo, Voice};
pub use params::{PARAMS, Param, ParamKind, Sampling, SamplingParams, Stage};
pub use prompt::{Position, Prompt, PromptStyle, is_speakable};
pub use random::{RepeatableRandom, random_seed};
pub use token_file::{FORMAT, TOKEN_FILE_EXTENSIONS, TokenFile, VERSION};
