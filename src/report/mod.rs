//! Results of the analysis as data, and their forms: text, CSV, HTML, plots.

mod clip;
mod csv;
mod html;
mod model;
mod page;
mod page_content;
pub mod plots;
mod ranking;
mod sound_tables;
mod table;
mod tables;
mod text;
mod word_distances;

pub use self::clip::{ClipReport, StepsUnavailable};
pub use self::csv::csv;
pub use self::html::html;
pub use self::model::{CheckpointComparison, ModeComparison, Report, SeedPair, SoundPair};
pub use self::page_content::{ClipSound, FrameCandidates, frame_candidates};
pub use self::sound_tables::sound_tables;
pub use self::table::Table;
pub use self::tables::tables;
pub use self::text::text;
pub use self::word_distances::WordDistance;
