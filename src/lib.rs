//! CSM Studio: conversational speech synthesis with Sesame's CSM (Conversational Speech Model) on MLX.
//!
//! # Layers
//!
//! Data flows one way: text, tokens, frames, codes, PCM, player; observers only watch.
//!
//! ```text
//!   9   cli
//!   8   studio
//!   7   alignment
//!   6   worker   quantize   verify   fuzzing
//!   5   download   mlx   torch   takes   listen   report
//!   4   analysis   checkpoint   voices   page   acoustics
//!   3   colours   machine   sampling   engine   audio
//!   2   diagnostics   text   data
//!   1   files   recogniser
//!   0   error   licences   pickle   fuzz_input
//! ```
//!
//! A layer uses only layers below it. `tests/boundaries.rs` declares the graph, draws this picture, and fails on any other edge.
//!
//! - [`data`]: plain types that every layer uses, checked where they enter. [`text`]: cleaning, reading and cutting of what is to be
//!   spoken. [`files`]: files that are written whole or not at all. [`error`]: every error. [`machine`]: memory and processors.
//! - [`sampling`], [`analysis`]: pure functions. Noise of PyTorch and MLX, the warpers and a reference sampler; steps, statistics and
//!   issues of clips.
//! - [`checkpoint`]: config, tokenizer and weights. [`checkpoint::weights`] is the tree of a model's layers with the names and shapes of
//!   their tensors; both engines load from it. [`download`] fetches checkpoints, [`quantize`] writes them quantised.
//! - [`engine`]: the [`engine::Engine`] trait; [`engine::Generation`], the loop behind every clip; [`engine::Narration`], which speaks a
//!   text in pieces.
//! - [`mlx`], [`torch`]: the model on MLX (with the codec) and on PyTorch. They compute the same in different ways, so that one
//!   can check the other. In float32, `mlx/cpu` computes a transformer's step as one operation of MLX's graph, on the processor.
//! - [`worker`]: runs tasks on MLX's thread; a [`worker::Task`] is the typed handle of one.
//! - [`audio`], [`acoustics`], [`recogniser`]: playback, recording, loudness and WAV files; acoustic measures; transcripts.
//! - [`takes`], [`report`], [`listen`], [`verify`]: stored clips; results as text, CSV, HTML and plots; listening tests; the checks of
//!   `csm verify`. `page` has what report and listening page share.
//! - [`studio`], [`cli`]: the front ends. Neither touches MLX.
//! - [`diagnostics`]: the log. [`licences`]: of all that the programs contain.
//!
//! # How to add …
//!
//! - **a sampling mode**: a variant and an entry in `data/mode.rs`, its colour in `studio/panels/take_menus.rs`. **A kind of noise**: a
//!   variant of `NoiseSource`; every match on it is exhaustive, so the compiler asks in each place.
//! - **a sampling setting**: a field and an entry in `data/params.rs`, its effect in `sampling/warp.rs`; a setting that cuts tokens is
//!   also a `Cut` there, with the explanation of a token it removed. Flags, window, files and reports follow from the table.
//! - **a statistic of a draw**: a variant and an entry in `analysis/statistics.rs`, and SciPy's value in
//!   `tests/goldens/measures.py`. **An issue of clips**: a variant in `data/issue.rs`, found in `analysis/issues.rs`.
//! - **a checkpoint format**: a file in `checkpoint/format/` and a line in its `MODEL_FORMATS` or `CODEC_FORMATS`.
//! - **a panel**: a file in `studio/panels/` that implements `Panel`, and a line in `panels()`. If it has state and actions, they are
//!   its owner's: data, commands and work in one file of the owner. **A key or an entry of the palette**: a line in
//!   `studio/command.rs`. **A lane** on the time axis: a line in `panels/lanes.rs`.
//! - **a task of the worker**: a method in `worker/mod.rs`, and a call of `Tasks::ask` where its result is wanted.
//! - **a kind of export**: a variant, a line and its content in `studio/library/exports.rs`.
//! - **a kind of listening test**: a variant and an entry in `listen/kind.rs`. Command line, window, report and page follow.
//! - **a command**: a file in `cli/`, and a line in `cli/mod.rs`.
//! - **a check of `csm verify`**: a file in `verify/`, and a variant of its `Check`.
//!
//! # Glossary
//!
//! - **frame**: 80 ms of speech, K codes. The *end-of-speech frame* is all zeros and not part of a clip.
//! - **codebook**: one of the K positions in a frame, with its own vocabulary; codebook 0 comes from the backbone, the others from
//!   the depth decoder. In the codec, a table of vectors.
//! - **draw**: the choice of one token of one codebook. **Step**: the K draws of a frame with their logits and settings.
//! - **clip**: a sequence of frames with its waveform. **Take**: a clip that is stored.
//! - **turn**: something said by one speaker in a conversation. **Context**: the turns before the one to be spoken. **Prompt**: the
//!   tokenised input of the model, context and text; a *voice prompt* is a recording used as context.
//! - **guard**: a range of ids that is never drawn; not to be confused with the *termination guard*, which reports clips that do
//!   not end as speech does.
//! - **margin**: how far the chosen candidate is ahead of the next one, in the units of the comparison.
//! - **divergence**: the first difference between two clips; also the Kullback-Leibler and Jensen-Shannon divergences of
//!   distributions.

/// Aborts if the audio callback allocates or frees; not in a release build.
#[cfg(any(debug_assertions, test))]
#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;

pub mod acoustics;
pub mod alignment;
pub mod analysis;
pub mod audio;
pub mod checkpoint;
pub mod cli;
mod colours;
pub mod data;
pub mod diagnostics;
pub mod download;
pub mod engine;
pub mod error;
pub mod files;
#[cfg(any(test, feature = "fuzzing"))]
mod fuzz_input;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod licences;
#[warn(clippy::wildcard_enum_match_arm)]
pub mod listen;
pub mod machine;
#[warn(clippy::wildcard_enum_match_arm)]
pub mod mlx;
mod page;
mod pickle;
pub mod quantize;
pub mod recogniser;
pub mod report;
pub mod sampling;
#[expect(missing_docs, reason = "the window is public for its tests alone")]
pub mod studio;
pub mod takes;
pub mod text;
#[warn(clippy::wildcard_enum_match_arm)]
pub mod torch;
#[cfg(feature = "torch")]
#[warn(clippy::wildcard_enum_match_arm)]
pub mod verify;
pub mod voices;
pub mod worker;
