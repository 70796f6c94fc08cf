//! Audio outside the model: WAV files, sample rates, playback.

pub mod device;
pub mod playback;
pub mod player;
pub mod resample;
pub mod wav;
