//! A clip that becomes a take.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{ClipSummary, Take, TakeFolder, TakeId};
use crate::audio::wav::{self, WavInfo};
use crate::data::{Clip, Issue, ModelDims, ModelId, Seam, TokenFile, WordTime, shortened};
use crate::error::Result;

/// Characters of a take's first name: the start of its text.
const NAME: usize = 60;

/// A clip that was made, with what is known of its making.
#[derive(Debug)]
pub struct NewTake<'a> {
    /// The clip with its sound and its tokens.
    pub clip: &'a Clip,
    /// Time of generating it, seconds.
    pub seconds: f64,
    /// Its problems.
    pub issues: &'a [Issue],
    /// When its words are spoken; empty if that is not known.
    pub words: &'a [WordTime],
    /// Tokens that the range guard changed.
    pub guarded: usize,
    /// Ids past the codec's size, decoded as 0.
    pub beyond_codec: usize,
    /// The joint after a word that was spoken again.
    pub seam: Option<Seam>,
    /// The take that it was made from.
    pub parent: Option<TakeId>,
    /// Name of the device that computed it.
    pub device: Option<String>,
    /// The model that made it.
    pub model: &'a ModelId,
    /// Sizes of that model.
    pub dims: &'a ModelDims,
}

impl TakeFolder {
    /// Writes a clip as a take; with the number of its samples that were clipped.
    ///
    /// # Errors
    /// Returns the errors of [`TakeFolder::write`], and of the WAV file.
    pub fn write_clip(&self, new: &NewTake<'_>) -> Result<(Take, usize)> {
        let clip = new.clip;
        let info = WavInfo::for_clip(new.model, &clip.origin);
        let (wav, clipped) = wav::encode(&clip.audio, clip.sample_rate, &info)?;
        let text = clip.origin.text.clone().unwrap_or_default();
        let take = Take {
            id: TakeId::default(),
            name: shortened(&text, NAME),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
            favourite: false,
            parent: new.parent.clone(),
            measures: ClipSummary {
                frames: clip.codes.len(),
                seconds: clip.seconds(),
                real_time_factor: new.seconds / clip.seconds(),
                issues: new.issues.to_vec(),
                guarded: new.guarded,
                beyond_codec: new.beyond_codec,
                seam: new.seam,
            },
            text,
            speaker: clip.origin.speaker.unwrap_or(0),
            model: Some(new.model.clone()),
            sampling: clip.origin.sampling,
            stop: clip.stop,
            edited: !clip.origin.edits.is_empty(),
            words: new.words.to_vec(),
            device: new.device.clone(),
        };
        let tokens = TokenFile::new(clip, new.model.clone(), new.dims);
        Ok((self.write(take, &tokens, &wav)?, clipped))
    }
}
