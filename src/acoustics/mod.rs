//! Objective measures of sound: of one clip ([`measures`]) and between two ([`distances`]), each with its formula and source.
//! `tests/goldens/acoustics.py` holds them to librosa, mel-cepstral-distance and pyloudnorm.

pub mod alignment;
pub mod curves;
pub mod distances;
pub mod measures;
pub mod pitch;
pub mod spectrogram;
pub mod spectrum;
