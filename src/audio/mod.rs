//! Audio outside the model: WAV files, sample rates, playback.

mod buffering;
pub mod device;
pub mod loudness;
pub mod low_pass;
pub mod microphone;
pub mod peaks;
pub mod playback;
pub mod player;
pub mod recording;
pub mod resample;
mod riff;
mod sink;
pub mod wav;
pub mod wav_stream;
