//! `csm bench`: how fast this machine speaks, and what that is made of.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::output::{message, print_line};
use super::values::{dtype_parser, mode_parser};
use super::{ModelArgs, Outcome};
use crate::checkpoint::Checkpoint;
use crate::data::{ClipSpec, Codes, Dtype, Mode, Position, Prompt, Sampling};
use crate::engine::{FrameRequest, GenerationRequest};
use crate::error::{Error, Result};
use crate::worker::{Event, GenerateJob, Pipeline};
use crate::{machine, mlx};

const TEXT: &str = "The little boat sailed across the lake.";
/// Frames that are decoded at once when the codec is timed alone: one, as while speaking.
const CODEC_CHUNK: usize = 1;
/// Numbers of the stream benchmark, 256 MB of float32: more than any cache.
const STREAM: usize = 64 << 20;

/// Flags of `csm bench`.
#[derive(clap::Args, Debug)]
pub struct BenchArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Sampling mode to measure
    #[arg(long, value_parser = mode_parser(), value_name = "MODE", default_value = "exact")]
    sampling: Mode,
    /// Number type of the language model [default: the mode's]
    #[arg(long, value_parser = dtype_parser(), value_name = "TYPE")]
    precision: Option<Dtype>,
    /// Runs after one to warm up
    #[arg(long, value_name = "N", default_value_t = 5)]
    runs: usize,
    /// Frames of a run
    #[arg(long, value_name = "N", default_value_t = 40)]
    frames: usize,
    /// Positions before the speech at which the growth of a frame's time is measured
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "50,500,1000,1900")]
    contexts: Vec<usize>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// Median and range of several runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn measure(values: Vec<f64>) -> Self {
        let at = |share| percentile(&values, share);
        Self { median: at(0.5), least: at(0.0), most: at(1.0) }
    }
}

/// The value below which a share of `values` lies: the nearest of them.
fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len().max(1) - 1) as f64 * share;
    sorted.get(place.round() as usize).copied().unwrap_or(0.0)
}

#[derive(Debug, Serialize)]
struct ContextGrowth {
    positions: usize,
    prompt_positions_per_second: f64,
    language_model_ms: f64,
}

/// Medians of several frames.
#[derive(Clone, Copy, Debug, Serialize)]
struct Stages {
    backbone_ms: f64,
    depth_decoder_ms: f64,
    sampling_ms: f64,
}

#[derive(Debug, Serialize)]
struct BenchResults {
    version: &'static str,
    model: String,
    mode: &'static str,
    precision: &'static str,
    device: String,
    operating_system: Option<String>,
    mlx_version: Option<&'static str>,
    cores: usize,
    runs: usize,
    frames: usize,
    real_time_factor: Spread,
    frames_per_second: Spread,
    frame_ms: Spread,
    first_sound_ms: Spread,
    first_sound_p95_ms: f64,
    /// Time of a clip whose logits are handed out over that of one whose are not.
    observed_ratio: f64,
    language_model_ms: Spread,
    codec_ms: Spread,
    /// Shares of the language model's time, each stage waited for; absent if the engine cannot tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    stages: Option<Stages>,
    synchronisations_per_frame: f64,
    /// Operations of the language model's graph in a frame, if they can be counted.
    operations_per_frame: Option<usize>,
    growth: Vec<ContextGrowth>,
    bytes_per_frame: usize,
    stream_bytes_per_second: f64,
    floor_ms: f64,
    /// The most memory that the process has held when a clip had been made, loading included.
    peak_bytes: Option<u64>,
    mlx_peak_bytes: Option<usize>,
}

pub(super) fn run(args: &BenchArgs) -> Result<Outcome> {
    if args.runs == 0 || args.frames == 0 {
        return Err(Error::invalid("--runs, --frames", "at least 1", format!("{}, {}", args.runs, args.frames)));
    }
    let checkpoint = Arc::new(args.model.open()?);
    let suggested = checkpoint.suggested_sampling(args.sampling, 1);
    let sampling = Sampling { precision: args.precision.unwrap_or(suggested.precision), ..suggested };
    let results = measure(args, &checkpoint, &sampling)?;
    if args.json {
        let json = serde_json::to_string(&results).map_err(|e| Error::write("(standard output)", e))?;
        print_line(&json)?;
    } else {
        print_line(&table(&results))?;
    }
    Ok(Outcome::Done)
}

fn measure(args: &BenchArgs, checkpoint: &Arc<Checkpoint>, sampling: &Sampling) -> Result<BenchResults> {
    let dims = checkpoint.dims();
    let mut pipeline = Pipeline::new(checkpoint.clone())?;
    pipeline.engine(sampling)?;
    let spec = ClipSpec::new(TEXT, 0, *sampling);
    let prompt = checkpoint.prompt(&spec)?;
    let (mut factors, mut frame_ms, mut first_sound) = (Vec::new(), Vec::new(), Vec::new());
    let (mut model_ms, mut codec_ms) = (Vec::new(), Vec::new());
    let mut observed_factors = Vec::new();
    let mut synchronisations = 0.0;
    for run in 0..=args.runs {
        let request = GenerationRequest::new(&spec, prompt.clone(), args.frames);
        let (observed, _) = speak(&mut pipeline, request.clone().observed())?;
        let (clip, sound) = speak(&mut pipeline, request)?;
        let waits = mlx::synchronisations();
        let model = language_model(&mut pipeline, sampling, &prompt, args.frames)?;
        synchronisations = (mlx::synchronisations() - waits) as f64 / args.frames as f64;
        let codec = codec(&pipeline, &clip.clip.codes)?;
        if run == 0 {
            continue; // to warm up
        }
        let frames = clip.clip.codes.len().max(1) as f64;
        observed_factors.push(observed.seconds / dims.seconds(observed.clip.codes.len().max(1)));
        factors.push(clip.seconds / dims.seconds(clip.clip.codes.len().max(1)));
        frame_ms.push(1_000.0 * clip.seconds / frames);
        first_sound.push(1_000.0 * sound.as_secs_f64());
        model_ms.push(1_000.0 * model.as_secs_f64() / args.frames as f64);
        codec_ms.push(1_000.0 * codec.as_secs_f64() / frames);
        message!("run {run} of {}: {:.1} ms per frame", args.runs, frame_ms.last().copied().unwrap_or(0.0));
    }
    let peak_bytes = machine::peak_memory();
    let (stages, operations) = profile(&mut pipeline, sampling, &prompt, args.runs)?;
    let growth = args.contexts.iter().map(|positions| grow(&mut pipeline, sampling, checkpoint, *positions));
    let growth = growth.collect::<Result<Vec<_>>>()?;
    let bytes_per_frame = bytes_per_frame(checkpoint, sampling.precision);
    let stream = stream_bytes_per_second();
    Ok(BenchResults {
        version: env!("CARGO_PKG_VERSION"),
        model: checkpoint.info.name.clone(),
        mode: sampling.mode.name(),
        precision: sampling.precision.name(),
        device: machine::device_name(machine::device_of(sampling.mode, sampling.precision)),
        operating_system: machine::operating_system(),
        mlx_version: machine::mlx_version(),
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        runs: args.runs,
        frames: args.frames,
        frames_per_second: Spread::measure(frame_ms.iter().map(|ms| 1_000.0 / ms).collect()),
        observed_ratio: Spread::measure(observed_factors).median / Spread::measure(factors.clone()).median,
        real_time_factor: Spread::measure(factors),
        frame_ms: Spread::measure(frame_ms),
        first_sound_p95_ms: percentile(&first_sound, 0.95),
        first_sound_ms: Spread::measure(first_sound),
        language_model_ms: Spread::measure(model_ms),
        codec_ms: Spread::measure(codec_ms),
        stages,
        synchronisations_per_frame: synchronisations,
        operations_per_frame: operations,
        growth,
        bytes_per_frame,
        stream_bytes_per_second: stream,
        floor_ms: 1_000.0 * bytes_per_frame as f64 / stream,
        peak_bytes,
        mlx_peak_bytes: mlx::memory().ok().map(|(_, peak)| peak),
    })
}

/// A clip as a user gets it, and the time until its first sound.
fn speak(pipeline: &mut Pipeline, request: GenerationRequest) -> Result<(crate::worker::GeneratedClip, Duration)> {
    let job = GenerateJob { request, retries: 0 };
    let started = Instant::now();
    let mut first = None;
    let clip = pipeline.generate(&job, &|| false, &mut |event| {
        if matches!(event, Event::Audio(_)) {
            first.get_or_insert(started.elapsed());
        }
    })?;
    Ok((clip, first.unwrap_or_default()))
}

/// Time of `frames` frames of the language model alone, prompt included.
fn language_model(pipeline: &mut Pipeline, sampling: &Sampling, prompt: &Prompt, frames: usize) -> Result<Duration> {
    let engine = pipeline.engine(sampling)?;
    let started = Instant::now();
    engine.prefill(prompt, &Codes::default())?;
    for frame in 0..frames {
        engine.next_frame(&FrameRequest { frame, sampling, forced: &[], recent: &[], observe: false })?;
    }
    Ok(started.elapsed())
}

/// Times of the stages of a frame, and its operations.
fn profile(
    pipeline: &mut Pipeline,
    sampling: &Sampling,
    prompt: &Prompt,
    runs: usize,
) -> Result<(Option<Stages>, Option<usize>)> {
    let engine = pipeline.engine(sampling)?;
    engine.prefill(prompt, &Codes::default())?;
    engine.next_frame(&FrameRequest { frame: 0, sampling, forced: &[], recent: &[], observe: false })?;
    let (mut backbone, mut depth_decoder, mut draws) = (Vec::new(), Vec::new(), Vec::new());
    let mut operations = None;
    for run in 0..runs {
        let request = FrameRequest { frame: 1 + 2 * run, sampling, forced: &[], recent: &[], observe: false };
        let Some(profile) = engine.profile(&request)? else { return Ok((None, None)) };
        let ms = |time: Duration| 1_000.0 * time.as_secs_f64();
        backbone.push(ms(profile.backbone));
        depth_decoder.push(ms(profile.depth_decoder));
        draws.push(ms(profile.sampling));
        operations = Some(profile.operations);
    }
    let median = |values| Spread::measure(values).median;
    let stages =
        Stages { backbone_ms: median(backbone), depth_decoder_ms: median(depth_decoder), sampling_ms: median(draws) };
    Ok((Some(stages), operations))
}

/// Time of decoding `frames`, frame by frame.
fn codec(pipeline: &Pipeline, frames: &Codes) -> Result<Duration> {
    let started = Instant::now();
    pipeline.decode_in_chunks(frames, CODEC_CHUNK, &|| false)?;
    Ok(started.elapsed())
}

/// A prompt of the given number of positions, and the frames after it.
fn grow(
    pipeline: &mut Pipeline,
    sampling: &Sampling,
    checkpoint: &Checkpoint,
    positions: usize,
) -> Result<ContextGrowth> {
    const FRAMES: usize = 10;
    let dims = checkpoint.dims();
    if positions + FRAMES >= dims.max_positions {
        let expected = format!("fewer positions than {}", dims.max_positions - FRAMES);
        return Err(Error::invalid("--contexts", expected, positions));
    }
    let mut prompt = checkpoint.prompt(&ClipSpec::new(TEXT, 0, *sampling))?;
    let audio = (0..positions.saturating_sub(prompt.positions.len()))
        .map(|n| Position::Audio(vec![n as u32 % 8; dims.codebooks]));
    prompt.push_segment(audio.collect());
    let engine = pipeline.engine(sampling)?;
    let started = Instant::now();
    engine.prefill(&prompt, &Codes::default())?;
    let request = |frame| FrameRequest { frame, sampling, forced: &[], recent: &[], observe: false };
    engine.next_frame(&request(0))?;
    let filled = started.elapsed();
    let started = Instant::now();
    for frame in 1..=FRAMES {
        engine.next_frame(&request(frame))?;
    }
    Ok(ContextGrowth {
        positions: prompt.positions.len(),
        prompt_positions_per_second: prompt.positions.len() as f64 / filled.as_secs_f64(),
        language_model_ms: 1_000.0 * started.elapsed().as_secs_f64() / FRAMES as f64,
    })
}

/// Bytes of weights that a frame reads: the backbone and its head once, the depth decoder for every further codebook.
fn bytes_per_frame(checkpoint: &Checkpoint, precision: Dtype) -> usize {
    let bytes = |prefix: &str| checkpoint.weight_bytes(prefix, precision);
    let once = bytes("backbone_model.layers") + bytes("lm_head") + bytes("depth_decoder.codebooks_head");
    let steps = checkpoint.dims().codebooks - 1;
    once + steps * (bytes("depth_decoder.model.layers") + bytes("depth_decoder.model.inputs_embeds_projector"))
}

/// Bytes a second at which all cores together read memory.
fn stream_bytes_per_second() -> f64 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let numbers = vec![1u32; STREAM];
    let pass = || {
        let started = Instant::now();
        let sum: u64 = std::thread::scope(|scope| {
            let parts = numbers.chunks(STREAM.div_ceil(cores));
            let sums: Vec<_> =
                parts.map(|part| scope.spawn(|| part.iter().map(|n| u64::from(*n)).sum::<u64>())).collect();
            sums.into_iter().filter_map(|sum| sum.join().ok()).sum()
        });
        std::hint::black_box(sum);
        (4 * STREAM) as f64 / started.elapsed().as_secs_f64()
    };
    (0..4).map(|_| pass()).fold(0.0, f64::max)
}

fn table(r: &BenchResults) -> String {
    let spread =
        |s: &Spread, digits: usize| format!("{:.digits$} ({:.digits$} to {:.digits$})", s.median, s.least, s.most);
    let mut lines = vec![
        format!(
            "csm {}: {} in {}, {} mode, on {} ({} cores); {} runs of {} frames, median (range)",
            r.version, r.model, r.precision, r.mode, r.device, r.cores, r.runs, r.frames
        ),
        format!(
            "system                 {}, MLX {}",
            r.operating_system.as_deref().unwrap_or("unknown"),
            r.mlx_version.unwrap_or("of unknown version")
        ),
        format!("real-time factor       {}", spread(&r.real_time_factor, 3)),
        format!("frames per second      {}", spread(&r.frames_per_second, 1)),
        format!("a frame, ms            {}", spread(&r.frame_ms, 2)),
        format!("  language model, ms   {}", spread(&r.language_model_ms, 2)),
        format!("  codec, ms            {}", spread(&r.codec_ms, 2)),
    ];
    lines.extend(r.stages.map(|s| {
        format!(
            "stages, each waited for: backbone {:.2} ms, depth decoder {:.2}, sampling {:.2}",
            s.backbone_ms, s.depth_decoder_ms, s.sampling_ms
        )
    }));
    lines.extend([
        format!("first sound, ms        {}, p95 {:.1}", spread(&r.first_sound_ms, 1), r.first_sound_p95_ms),
        format!("logits handed out      {:.2} times the time without", r.observed_ratio),
        format!("synchronisations       {:.1} a frame", r.synchronisations_per_frame),
        format!(
            "weights read           {:.1} MB per frame; memory gives {:.1} GB/s, so at least {:.2} ms",
            r.bytes_per_frame as f64 / 1e6,
            r.stream_bytes_per_second / 1e9,
            r.floor_ms
        ),
    ]);
    lines.extend(
        r.operations_per_frame.map(|n| format!("operations             {n} a frame of the language model's graph")),
    );
    lines.extend(
        r.peak_bytes.map(|peak| format!("peak memory            {:.1} MB, loading included", peak as f64 / 1e6)),
    );
    for g in &r.growth {
        lines.push(format!(
            "after {:4} positions   {:.2} ms per frame of the language model; prompt {:.0} positions per second",
            g.positions, g.language_model_ms, g.prompt_positions_per_second
        ));
    }
    lines.extend(r.mlx_peak_bytes.map(|peak| format!("MLX's peak memory      {:.1} MB", peak as f64 / 1e6)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_median_and_range() {
        assert_eq!(Spread::measure(vec![3.0, 1.0, 2.0]), Spread { median: 2.0, least: 1.0, most: 3.0 });
        assert_eq!(Spread::measure(Vec::new()), Spread::default());
    }
}
