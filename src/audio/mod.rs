//! Sound outside the model: WAV files, sample rates, the loudspeaker.

pub mod device;
pub mod mixer;
pub mod output;
pub mod player;
pub mod resample;
pub mod wav;
