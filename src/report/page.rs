//! The parts of a page that show one clip: sound, lanes, and the candidates of every draw.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ecolor::Color32;
use maud::{Markup, html as markup};
use serde_json::{Map, Value, json};

use super::clip::ClipReport;
use super::page_content::FrameCandidates;
use crate::analysis::statistics::{STEP_STATISTICS, Stat, TokenStats};
use crate::analysis::steps::Candidate;
use crate::colours::{COMMON, DARK, LIGHT, Palette, SWATCHES, css, swatch};
use crate::data::ModelInfo;
use crate::page::page_data;

/// The page's program and its look.
pub(super) const SCRIPT: &str = include_str!("../../assets/report/page.js");
pub(super) const STYLE: &str = include_str!("../../assets/report/page.css");

/// Steps of the colour map.
const COLOURS: usize = 64;
/// The curves of a page, by the names of their colours in [`palette`].
const CURVES: [(Stat, &str); 2] = [(Stat::Entropy, "entropy"), (Stat::Surprisal, "chosen")];

/// The probability of the end in each frame's candidates, if it is among them.
fn end_probability(candidates: &[FrameCandidates]) -> Vec<f32> {
    let of_frame = |frame: &FrameCandidates| {
        frame.first().and_then(|draw| draw.iter().find(|c| c.id == 0)).map_or(0.0, |c| c.model)
    };
    candidates.iter().map(of_frame).collect()
}

/// The lanes of a clip, with its sound and draws if they are known.
pub(super) fn clip_player(clip: &ClipReport, model: &ModelInfo) -> Markup {
    if clip.codes.is_empty() {
        return markup! {};
    }
    let plotted = STEP_STATISTICS.iter().filter(|s| s.plotted && clip.steps.is_some());
    let height = (14 * clip.codes.codebooks()).clamp(90, 480);
    markup! {
        section class="clip" {
            div class="controls" {
                @if let Some(sound) = &clip.sound {
                    audio controls preload="auto" src=(format!("data:audio/wav;base64,{}", STANDARD.encode(&sound.wav))) {}
                }
                label {
                    "Map: "
                    select {
                        option value="" { "tokens" }
                        @for statistic in plotted { option value=(statistic.heading()) { (statistic.title) } }
                    }
                }
            }
            @if !clip.words.is_empty() { div class="words" {} }
            canvas class="wave" style="height:110px" role="img" aria-label="Waveform, entropy and surprisal over time" {}
            canvas class="map" style=(format!("height:{height}px")) role="img" aria-label="Tokens over time, one row per codebook" {}
            @if clip.steps.is_some() {
                p class="legend weak" {
                    @for (stat, colour) in CURVES { span style=(format!("color: var(--{colour})")) { (stat.info().title) } }
                    @if clip.candidates.is_some() { span style="color: var(--end)" { "p(end)" } }
                    "of the selected codebook"
                }
            }
            div class="readout" aria-live="polite" { p class="weak" { "Click a cell to see its draw." } }
            (page_data(None, &clip_data(clip, model)))
        }
    }
}

fn clip_data(clip: &ClipReport, model: &ModelInfo) -> Value {
    let rounded = |x: f64| if x.is_finite() { json!((x * 1e4).round() / 1e4) } else { Value::Null };
    let statistics = clip.steps.iter().flat_map(|steps| {
        STEP_STATISTICS.iter().filter(|s| s.plotted).map(move |s| {
            let frame = |draws: &Vec<TokenStats>| draws.iter().map(|draw| rounded(draw[s.stat])).collect::<Value>();
            (s.heading(), steps.iter().map(frame).collect::<Value>())
        })
    });
    let share = |p: f32| rounded(f64::from(p));
    let draws = clip.candidates.as_ref().map(|frames| {
        let draw = |draw: &Vec<Candidate>| {
            draw.iter().map(|c| json!([c.id, share(c.model), share(c.sampler)])).collect::<Value>()
        };
        frames.iter().map(|frame| frame.iter().map(draw).collect::<Value>()).collect::<Value>()
    });
    let end = clip.candidates.as_ref().map(|c| end_probability(c).into_iter().map(share).collect::<Vec<_>>());
    let sound =
        clip.sound.as_ref().map(|sound| sound.peaks.iter().map(|(low, high)| json!([share(*low), share(*high)])));
    json!({
        "frameSeconds": model.dims.seconds(1),
        "frames": clip.codes.frames().map(<[u32]>::to_vec).collect::<Vec<_>>(),
        "labels": labels(clip, model),
        "statistics": statistics.collect::<Map<_, _>>(),
        "swatches": swatches(clip, model),
        "curves": CURVES.map(|(stat, colour)| json!([stat.info().heading(), colour])),
        "draws": draws,
        "end": end,
        "words": clip.words.iter().map(|word| json!([word.word, rounded(word.start), rounded(word.end)])).collect::<Value>(),
        "peaks": sound.map_or(Value::Array(Vec::new()), |peaks| peaks.collect()),
    })
}

/// Labels of the ids that the clip or its candidates have, by codebook.
fn labels(clip: &ClipReport, model: &ModelInfo) -> Vec<Map<String, Value>> {
    let of_codebook = |k: usize| {
        let drawn = clip.candidates.iter().flatten().flat_map(|frame| &frame[k]).map(|c| c.id);
        let ids: std::collections::BTreeSet<u32> = clip.codes.column(k).chain(drawn).collect();
        let labelled = ids.into_iter().map(|id| (id, model.label(k, id))).filter(|(_, label)| !label.is_empty());
        labelled.map(|(id, label)| (id.to_string(), Value::from(label))).collect()
    };
    (0..clip.codes.codebooks()).map(of_codebook).collect()
}

/// The swatch of every token, frame by frame.
pub(super) fn swatches(clip: &ClipReport, model: &ModelInfo) -> Vec<Vec<usize>> {
    let common = clip.codes.most_common();
    let of_token = |(k, id): (usize, &u32)| if common[k] == *id { COMMON } else { swatch(model.label(k, *id), *id) };
    clip.codes.frames().map(|frame| frame.iter().enumerate().map(of_token).collect()).collect()
}

/// Colours of lanes and maps as JSON, for light and dark pages.
pub(super) fn palette() -> Markup {
    let rgb = |colour: Color32| colour.to_array()[..3].to_vec();
    let of = |palette: &Palette| {
        json!({
            "ramp": (0..COLOURS).map(|n| rgb(palette.ramp(n as f64 / (COLOURS - 1) as f64))).collect::<Vec<_>>(),
            "swatches": (0..SWATCHES).map(|n| rgb(palette.swatch(n))).collect::<Vec<_>>(),
            "entropy": css(palette.entropy),
            "chosen": css(palette.chosen),
            "end": css(palette.end),
            "playhead": palette.playhead.map(css),
        })
    };
    page_data(Some("palette"), &json!({"light": of(&LIGHT), "dark": of(&DARK)}))
}
