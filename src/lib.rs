//! CSM Studio: conversational speech synthesis with Sesame's CSM (Conversational Speech Model) on MLX.
//!
//! # Layers
//!
//! Data flows one way: text, tokens, frames, codes, PCM, player; observers stand at the side.
//!
//! ```text
//!   studio   cli                      front ends: a window, a command line
//!      │      │
//!   report  verify  takes  audio      results, checks, clips on disk, sound
//!      │      │       │      │
//!      └──── worker ──┘      │        the one thread that owns MLX
//!         │       │          │
//!        mlx    torch        │        engines: MLX, PyTorch
//!         └──┬────┘          │
//!          engine            │        the trait of both, the generation loop
//!            │               │
//!   checkpoint  analysis     │        files of a model; statistics
//!            │   sampling    │        noise, warpers, reference sampler
//!            └────┬──────────┘
//!               data                  codes, sizes, settings, token files
//!          files   error              whole files; errors
//! ```
//!
//! `tests/boundaries.rs` has the exact graph and fails on any other edge.
//!
//! - [`data`]: plain types that every layer speaks, checked where they enter.
//! - [`sampling`], [`analysis`]: pure functions. PyTorch's and MLX's noise, the warpers and a sampler to compare with; statistics of draws,
//!   clips and groups of clips.
//! - [`checkpoint`]: config, tokenizer and weights. [`checkpoint::weights`] is the tree of a model's layers, each with the names and
//!   shapes of its tensors; both engines load from it. [`download`] fetches checkpoints, [`quantize`] writes them quantised.
//! - [`engine`]: the [`engine::Engine`] trait and [`engine::Generation`], the loop behind every clip.
//! - [`mlx`], [`torch`]: the model on MLX (with the codec) and on PyTorch. They compute the same in different ways, so that one
//!   can check the other. Where MLX has no GPU, `mlx/cpu` computes a transformer's step as one operation of MLX's graph.
//! - [`worker`]: runs tasks on MLX's thread; a [`worker::Task`] is the typed handle of one.
//! - [`audio`], [`takes`], [`report`], [`verify`], [`listen`]: playback, loudness and WAV files; kept clips; results as text, CSV, HTML
//!   and plots; the checks of `csm verify`; listening tests.
//! - [`studio`], [`cli`]: the front ends. Neither touches MLX.
//! - [`diagnostics`]: the log.
//!
//! # How to add …
//!
//! - **a sampling mode**: a variant and an entry in `data/mode.rs`. A new kind of noise is also an arm in `mlx/csm.rs`,
//!   `torch/csm.rs` and `analysis/what_if.rs`, which the compiler asks for.
//! - **a sampling setting**: a field and an entry in `data/params.rs`, its effect in `sampling/warp.rs`. Flags, window, files and
//!   reports follow from the table.
//! - **a statistic of a draw**: a variant and an entry in `analysis/statistics.rs`, and SciPy's value in
//!   `tests/goldens/measures.py`.
//! - **a checkpoint format**: a file in `checkpoint/format/` and a line in its `MODEL_FORMATS` or `CODEC_FORMATS`.
//! - **a panel**: a file in `studio/panels/` that implements `Panel`, and a line in `panels()`. It draws the session and returns
//!   `Command`s; what is known without a window lies in `studio/state/`. **A key or an entry of the palette**: a line in
//!   `studio/command.rs`. **A lane** on the time axis: a line in `panels/lanes.rs`.
//! - **a kind of export**: a variant and a line in `studio/state/library.rs`, its content in `studio/session/clips.rs`.
//! - **a kind of listening test**: a variant in `listen/test_file.rs`; the compiler asks for the rest.
//! - **a command**: a file in `cli/`, and a line in `cli/mod.rs`.
//! - **a check of `csm verify`**: a file in `verify/`, and a line in its `CHECKS`.
//!
//! # Glossary
//!
//! - **frame**: 80 ms of speech, K codes. The *end-of-speech frame* is all zeros and not part of a clip.
//! - **codebook**: one of the K positions in a frame, with its own vocabulary; codebook 0 comes from the backbone, the others from
//!   the depth decoder. In the codec, a table of vectors.
//! - **draw** (or step): one token of one codebook in one frame.
//! - **clip**: a sequence of frames with its waveform. **Take**: a clip that is kept.
//! - **turn**: something said by one speaker in a conversation. **Context**: the turns before the one to be spoken. **Prompt**: the
//!   tokenised input of the model, context and text; a *voice prompt* is a recording used as context.
//! - **guard**: a range of ids that is never drawn; not to be confused with the *termination guard*, which reports clips that do
//!   not end as speech does.
//! - **margin**: how far the chosen candidate is ahead of the next one, in the units of the comparison.
//! - **divergence**: the first difference between two clips; also the Kullback-Leibler and Jensen-Shannon divergences of
//!   distributions.

/// Aborts where the audio callback allocates or frees; in a release build nothing looks.
#[cfg(any(debug_assertions, test))]
#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;

pub mod acoustics;
pub mod analysis;
pub mod audio;
pub mod checkpoint;
pub mod cli;
pub mod data;
pub mod diagnostics;
pub mod download;
pub mod engine;
pub mod error;
pub mod files;
pub mod listen;
pub mod machine;
pub mod mlx;
mod page;
pub mod quantize;
pub mod recogniser;
pub mod report;
pub mod sampling;
pub mod studio;
pub mod takes;
pub mod text;
pub mod torch;
#[cfg(feature = "torch")]
pub mod verify;
pub mod worker;
