//! Sound outside the model: WAV files, sample rates, the loudspeaker.

pub mod player;
pub mod resample;
pub mod wav;
