//! Speaks a word of a clip again, or takes words of another clip of the text. The frames before it stay, the word is drawn with another seed until the attention reaches the next
//! word, or taken, and the frames after it follow where they surprise the model least. The result is one sequence of codes and one stream of the
//! codec, so there is no splice in the waveform.

use std::ops::RangeInclusive;

use crate::analysis::alignment::attention_frame;
use crate::analysis::draw::surprisal;
use crate::data::{ClipSpec, Codes, Edit, ModelDims, Seam, TakenWords, WordRetake};
use crate::engine::{EngineProvider, FrameRequest, Generation, GenerationRequest, LoopEvent};
use crate::error::{Error, Result};

/// Frames after the attention has reached the next word at which the joint may lie. The attention is two frames ahead of the sound: an
/// earlier joint would keep the end of the old word.
const JOINTS: RangeInclusive<usize> = 2..=4;
/// Frames by which the rest of the parent may begin earlier or later than at the same place of its word.
const SHIFTS: [isize; 3] = [0, -1, 1];
/// Frames after the joint whose surprisal is its price.
const PRICED: usize = 6;
/// Frames in a row that attend to the next word before the word counts as finished.
const CONFIRMED: usize = 2;
/// Seeds that are tried, one after another, for a word that is not finished or that becomes what it was.
const ATTEMPTS: u64 = 5;
/// Distance of these seeds: far from the seeds that a user tries side by side (the golden ratio of 2^64).
const NEXT_SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// The request whose clip speaks the word again, and its joint; no joint if the word is the last one.
///
/// # Errors
/// [`Error::InvalidValue`] without words to track and for a word that is not finished with the last of five seeds; [`Error::Cancelled`]; errors of
/// the engines.
pub(super) fn retake_word(
    request: &GenerationRequest,
    retake: &WordRetake,
    seed: u64,
    dims: &ModelDims,
    engines: &mut dyn EngineProvider,
    cancelled: &dyn Fn() -> bool,
) -> Result<(GenerationRequest, Option<Seam>)> {
    let no_words = || Error::invalid("retake", "a voice whose attention follows the text", "none");
    let tracking = request.tracking.as_ref().ok_or_else(no_words)?;
    let words = &tracking.prompt.words;
    if retake.word >= words.len() || retake.codes.is_empty() {
        let expected = format!("one of the {} words of the text", words.len());
        return Err(Error::invalid("retake", expected, format!("word {}", retake.word + 1)));
    }
    let last = retake.codes.len() - 1;
    let from = ((retake.time.start * dims.frame_rate + 1e-9) as usize).min(last);
    let next = words.get(retake.word + 1).map(|word| word.positions.start - tracking.prompt.text.start);
    if let Some(taken) = &retake.taken {
        return take_words(request, retake, taken, (from, next.is_none()), dims, engines, cancelled);
    }
    for attempt in 0..ATTEMPTS {
        let mut spec = unchanged_before(&request.spec, from);
        spec.edits.push(Edit::Seed { frame: from, seed: seed.wrapping_add(attempt.wrapping_mul(NEXT_SEED)) });
        let history = retake.codes.part(0..from);
        let draw = GenerationRequest { spec, history, retake: None, observe: false, forced: None, ..request.clone() };
        let Some(drawn) = draw_word(&draw, next, retake, dims, engines, cancelled)? else { continue };
        let (joint, rest, seam) = match next {
            None => (drawn.codes.len(), Codes::new(dims.codebooks), None),
            Some(_) => {
                let (joint, start, bits) = cheapest_joint(&draw, &drawn, retake, dims, engines, cancelled)?;
                (joint, retake.codes.part(start..retake.codes.len()), Some(Seam { frame: joint, bits }))
            }
        };
        let ended = if next.is_some() { retake.ended } else { drawn.ended };
        let (mut codes, mut spec, mut tail) = (drawn.codes.part(0..joint), draw.spec, rest);
        if ended {
            tail.push(&vec![0; dims.codebooks]);
        }
        codes.extend(&tail);
        if attempt + 1 < ATTEMPTS && codes.part(0..codes.len() - usize::from(ended)) == retake.codes {
            continue; // nothing to hear
        }
        if seam.is_some() {
            spec.edits.push(Edit::Frames { frame: joint, frames: tail, source: String::new() });
        }
        let max_frames = codes.len();
        let made = GenerationRequest { spec, forced: Some(codes), retake: None, max_frames, ..request.clone() };
        return Ok((made, seam));
    }
    let expected = "a word that the model finishes; try a lower temperature or another seed";
    Err(Error::invalid(
        "retake",
        expected,
        format!("{ATTEMPTS} attempts from seed {seed} on that do not reach the next word"),
    ))
}

/// `spec` with only what it says about the frames before `from`.
fn unchanged_before(spec: &ClipSpec, from: usize) -> ClipSpec {
    let mut spec = spec.clone();
    spec.edits.retain(|edit| edit.frame() < from || (edit.frame() == from && matches!(edit, Edit::Sampling { .. })));
    spec.cut_taken_frames(from);
    spec
}

/// The request whose clip has the words of another clip from frame `from` on, and then the rest of the parent where it surprises the model
/// least; nothing follows if the words are the last ones.
fn take_words(
    request: &GenerationRequest,
    retake: &WordRetake,
    taken: &TakenWords,
    (from, are_last): (usize, bool),
    dims: &ModelDims,
    engines: &mut dyn EngineProvider,
    cancelled: &dyn Fn() -> bool,
) -> Result<(GenerationRequest, Option<Seam>)> {
    if taken.codes.codebooks() != dims.codebooks || taken.codes.is_empty() {
        return Err(Error::invalid("retake", "a clip of the same model", &taken.source));
    }
    let spec = unchanged_before(&request.spec, from);
    let history = retake.codes.part(0..from);
    let draw = GenerationRequest {
        spec,
        history: history.clone(),
        retake: None,
        observe: false,
        forced: None,
        ..request.clone()
    };
    let (start, before) = cheapest_start(&draw, &history, taken, dims, engines, cancelled)?;
    let last = taken.codes.len() - 1;
    let crossing = attention_frame(taken.time.end, dims.seconds(1)).clamp((start + 1).min(last), last);
    let mut codes = history;
    let to = if are_last { taken.codes.len() } else { crossing + JOINTS.end() };
    codes.extend(&taken.codes.part(start..to));
    let mut spec = draw.spec.clone();
    let mut add = |frame: usize, frames: Codes, source: &str| {
        if !frames.is_empty() {
            spec.edits.push(Edit::Frames { frame, frames, source: source.to_owned() });
        }
    };
    let seam = if are_last {
        if taken.ended {
            codes.push(&vec![0; dims.codebooks]);
        }
        add(from, codes.part(from..codes.len()), &taken.source);
        Seam { frame: from, bits: before }
    } else {
        let with_words = DrawnWord { codes, crossing: from + crossing - start, ended: false };
        let (joint, rest, after) = cheapest_joint(&draw, &with_words, retake, dims, engines, cancelled)?;
        codes = with_words.codes.part(0..joint);
        add(from, codes.part(from..joint), &taken.source);
        let mut tail = retake.codes.part(rest..retake.codes.len());
        if retake.ended {
            tail.push(&vec![0; dims.codebooks]);
        }
        codes.extend(&tail);
        add(joint, tail, "");
        Seam { frame: joint, bits: before + after }
    };
    let max_frames = codes.len();
    Ok((GenerationRequest { spec, forced: Some(codes), retake: None, max_frames, ..request.clone() }, Some(seam)))
}

/// The first frame to take of other words, around their beginning, and the price in bits of the joint before it: the surprisal of the frames
/// after it, minus their surprisal in their own clip.
fn cheapest_start(
    draw: &GenerationRequest,
    history: &Codes,
    taken: &TakenWords,
    dims: &ModelDims,
    engines: &mut dyn EngineProvider,
    cancelled: &dyn Fn() -> bool,
) -> Result<(usize, f64)> {
    let begin = ((taken.time.start * dims.frame_rate + 1e-9) as usize).min(taken.codes.len() - 1);
    if history.is_empty() {
        return Ok((0, 0.0)); // both clips begin with these words
    }
    let mut best: Option<(f64, usize)> = None;
    for shift in SHIFTS {
        if cancelled() {
            return Err(Error::Cancelled);
        }
        let Some(start) = begin.checked_add_signed(shift).filter(|start| *start < taken.codes.len()) else { continue };
        let frames = taken.codes.part(start..start + PRICED);
        let here: f64 = surprisals(draw, history, &frames, engines)?.iter().sum();
        let there: f64 = surprisals(draw, &taken.codes.part(0..start), &frames, engines)?.iter().sum();
        if best.is_none_or(|(least, _)| here - there < least) {
            best = Some((here - there, start));
        }
    }
    Ok(best.map_or((begin, 0.0), |(bits, start)| (start, bits)))
}

/// Frames with the word, from the start of the clip.
struct DrawnWord {
    codes: Codes,
    /// First frame that attends to the next word; the end of the clip if the word is the last one.
    crossing: usize,
    /// Whether the model ended the clip.
    ended: bool,
}

/// Draws the word: until the last of [`JOINTS`] after the attention reaches position `next` of the text, or to the end of the clip if the word is
/// the last one. `None` if the word is not finished.
fn draw_word(
    draw: &GenerationRequest,
    next: Option<usize>,
    retake: &WordRetake,
    dims: &ModelDims,
    engines: &mut dyn EngineProvider,
    cancelled: &dyn Fn() -> bool,
) -> Result<Option<DrawnWord>> {
    // A word may take three times as long as it did, and two seconds more.
    let longest = ((3.0 * (retake.time.end - retake.time.start) + 2.0) * dims.frame_rate) as usize;
    let from = draw.history.len();
    let draw = GenerationRequest { max_frames: draw.max_frames.min(from + longest), ..draw.clone() };
    let mut generation = Generation::new(&draw, &[draw.spec.sampling.seed], dims)?;
    let (mut beyond, mut crossing) = (0, None);
    loop {
        if cancelled() {
            return Err(Error::Cancelled);
        }
        match generation.next_frame(engines)? {
            LoopEvent::Frame(frame) => {
                let is_beyond = next.is_some_and(|next| most_attended(&frame.attention) >= Some(next));
                beyond = if is_beyond { beyond + 1 } else { 0 };
                if beyond == CONFIRMED && crossing.is_none() {
                    crossing = Some(frame.frame + 1 - CONFIRMED);
                }
                if crossing.is_some_and(|crossing| frame.frame + 1 >= crossing + JOINTS.end()) {
                    break;
                }
            }
            LoopEvent::EndOfSpeech(frame) => {
                let codes = generation.codes(0).clone();
                return Ok(next.is_none().then_some(DrawnWord { codes, crossing: frame.frame, ended: true }));
            }
            LoopEvent::Finished(_) => return Ok(None),
        }
    }
    Ok(crossing.map(|crossing| DrawnWord { codes: generation.codes(0).clone(), crossing, ended: false }))
}

/// The position of the text that the heads attend to most; `None` without attention.
fn most_attended(attention: &[Vec<f32>]) -> Option<usize> {
    let positions = attention.iter().map(Vec::len).min().filter(|n| *n > 0)?;
    let sum = |position: &usize| attention.iter().map(|weights| f64::from(weights[*position])).sum::<f64>();
    (0..positions).max_by(|a, b| sum(a).total_cmp(&sum(b)))
}

/// The frame at which the rest of the parent follows, the parent's first frame of it, and the price in bits: the least over the frames
/// around the end of the word.
fn cheapest_joint(
    draw: &GenerationRequest,
    drawn: &DrawnWord,
    retake: &WordRetake,
    dims: &ModelDims,
    engines: &mut dyn EngineProvider,
    cancelled: &dyn Fn() -> bool,
) -> Result<(usize, usize, f64)> {
    let old = &retake.codes;
    let old_crossing = attention_frame(retake.time.end, dims.seconds(1)).clamp(draw.history.len(), old.len() - 1);
    let first = old_crossing.saturating_sub(1);
    let after = old.part(first..first + JOINTS.end() + 2 + PRICED);
    let in_parent = surprisals(draw, &old.part(0..first), &after, engines)?;
    let history = drawn.codes.part(0..drawn.crossing);
    let mut best: Option<(f64, usize, usize)> = None;
    for kept in JOINTS {
        for shift in SHIFTS {
            if cancelled() {
                return Err(Error::Cancelled);
            }
            let Some(start) =
                (old_crossing + kept).checked_add_signed(shift).filter(|start| (first..old.len()).contains(start))
            else {
                continue;
            };
            let mut tokens = drawn.codes.part(drawn.crossing..drawn.crossing + kept);
            tokens.extend(&old.part(start..start + PRICED));
            let bits = surprisals(draw, &history, &tokens, engines)?;
            let priced: f64 = bits[kept.min(bits.len())..].iter().sum();
            let original: f64 = in_parent[start - first..].iter().take(tokens.len() - kept).sum();
            let price = priced - original;
            if best.is_none_or(|(least, ..)| price < least) {
                best = Some((price, drawn.crossing + kept, start));
            }
        }
    }
    let nothing = || Error::invalid("retake", "a word with frames after it", "none");
    best.map(|(bits, joint, start)| (joint, start, bits)).ok_or_else(nothing)
}

/// Surprisal in bits of each of `frames` after `history`, over all codebooks, before temperature and top-k.
fn surprisals(
    draw: &GenerationRequest,
    history: &Codes,
    frames: &Codes,
    engines: &mut dyn EngineProvider,
) -> Result<Vec<f64>> {
    let sampling = draw.spec.sampling;
    let engine = engines.engine(&sampling)?;
    engine.prefill(&draw.prompt, history)?;
    let mut bits = Vec::new();
    for (n, frame) in frames.frames().enumerate() {
        let forced: Vec<Option<u32>> = frame.iter().copied().map(Some).collect();
        let request =
            FrameRequest { frame: history.len() + n, sampling: &sampling, forced: &forced, recent: &[], observe: true };
        let Some(logits) = engine.next_frame(&request)?.logits else { break };
        bits.push(frame.iter().zip(logits.rows()).map(|(token, row)| surprisal(row, *token)).sum());
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_attend_to_a_position_together() {
        assert_eq!(most_attended(&[vec![0.6, 0.4, 0.0], vec![0.0, 0.5, 0.5]]), Some(1));
        assert_eq!(most_attended(&[]), None);
        assert_eq!(most_attended(&[vec![]]), None);
    }
}
