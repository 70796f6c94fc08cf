//! The whole path on the demo voice: one loop, streaming, cancelling, observing.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use csm_studio::checkpoint::{Checkpoint, Dtype};
use csm_studio::mlx::mimi::Mimi;
use csm_studio::mlx::synchronisations;
use csm_studio::pipeline::{Clip, Event, Job, Pipeline};
use csm_studio::prompt::{Prompt, Segment};
use csm_studio::sampling::{Guard, Mode, Sampling};
use csm_studio::tokens::{Edit, Stop};

use crate::support::golden::Golden;
use crate::support::max_difference;

/// The modes that this build has.
#[cfg(feature = "torch")]
const MODES: &[Mode] = &[Mode::Native, Mode::Exact, Mode::Hybrid];
#[cfg(not(feature = "torch"))]
const MODES: &[Mode] = &[Mode::Native, Mode::Exact];

fn demo() -> Arc<Checkpoint> {
    Arc::new(Checkpoint::demo().unwrap())
}

fn job(checkpoint: &Checkpoint, mode: Mode) -> Job {
    let sampling = Sampling::suggested(&checkpoint.generation, mode, 1, Dtype::Float32, checkpoint.config.vocab_size);
    Job {
        prompt: Prompt::new(checkpoint, &[], 0, "Good morning, how are you today?").unwrap(),
        sampling,
        max_frames: 100,
        history: Vec::new(),
        forced: None,
        edits: Vec::new(),
        retries: 0,
        observe: false,
    }
}

fn generate(pipeline: &mut Pipeline, job: &Job) -> Clip {
    pipeline.generate(job, &|| false, &mut |_| {}).unwrap()
}

#[test]
fn a_frame_takes_one_synchronisation_whoever_watches() {
    let checkpoint = demo();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    for mode in [Mode::Native, Mode::Exact] {
        let mut job = job(&checkpoint, mode);
        for observe in [false, true] {
            job.observe = observe;
            generate(&mut pipeline, &job); // loads the engine
            let engine = pipeline.engine(&job.sampling).unwrap();
            engine.start(&job.prompt, &[]).unwrap();
            let before = synchronisations();
            for frame in 0..10 {
                let request = csm_studio::engine::Request { frame, sampling: &job.sampling, forced: &[], observe };
                let step = engine.step(&request).unwrap();
                assert_eq!(step.logits.is_some(), observe);
            }
            assert_eq!(synchronisations() - before, 10, "{mode:?}, observe {observe}");
        }
    }
}

#[test]
fn observing_changes_nothing_and_sees_what_was_drawn_from() {
    let checkpoint = demo();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    let mut job = job(&checkpoint, Mode::Exact);
    let unseen = generate(&mut pipeline, &job);
    job.observe = true;
    let drawn = RefCell::new(Vec::new());
    let seen = pipeline
        .generate(&job, &|| false, &mut |event| {
            if let Event::Frame(f) = event {
                drawn.borrow_mut().push((f.codes, f.logits.unwrap()));
            }
        })
        .unwrap();
    assert_eq!(unseen.frames, seen.frames);
    // The reference sampler draws the same tokens from the logits that were shown.
    let (k, v) = (checkpoint.config.num_codebooks, checkpoint.config.vocab_size);
    let mut noise = csm_studio::sampling::noise::TorchNoise::new(job.sampling.seed);
    let mut q = vec![0.0; v];
    for (codes, logits) in drawn.into_inner() {
        assert_eq!(logits.len(), k * v);
        for (codebook, row) in logits.chunks(v).enumerate() {
            noise.fill(&mut q);
            let token = csm_studio::sampling::reference::draw(row, job.sampling.draw(codebook), None, &q);
            assert_eq!(token, codes[codebook]);
        }
    }
}

#[test]
fn streaming_equals_the_whole_clip_for_any_pieces() {
    for name in ["mini", "window", "wide"] {
        let golden = Golden::read(name);
        let folder = golden.build();
        let mimi = Mimi::load(&Checkpoint::open(folder.path()).unwrap()).unwrap();
        let frames = golden.tokens("plain/greedy");
        let whole = mimi.decode(&mut mimi.stream(), &frames).unwrap();
        assert_eq!(whole.len(), frames.len() * mimi.frame_size());
        for sizes in [vec![1], vec![2, 1, 5], vec![7, 3], vec![frames.len() - 1, 1]] {
            let mut stream = mimi.stream();
            let mut pieces = Vec::new();
            let (mut at, mut n) = (0, 0);
            while at < frames.len() {
                let end = (at + sizes[n % sizes.len()]).min(frames.len());
                pieces.extend(mimi.decode(&mut stream, &frames[at..end]).unwrap());
                (at, n) = (end, n + 1);
            }
            // The same sums in other orders; the signal is of size 1.
            let difference = max_difference(&whole, &pieces);
            assert!(difference < 1e-5, "{name}, {sizes:?}: {difference}");
        }
        let again = mimi.decode(&mut mimi.stream(), &frames).unwrap();
        assert_eq!(whole, again, "a new stream remembers nothing");
    }
}

#[test]
fn cancelling_keeps_what_was_made() {
    let checkpoint = demo();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    let job = job(&checkpoint, Mode::Exact);
    let whole = generate(&mut pipeline, &job);
    for after in [0, 1, 7] {
        let seen = Cell::new(0);
        let heard = Cell::new(0);
        let clip = pipeline
            .generate(&job, &|| seen.get() == after, &mut |event| match event {
                Event::Frame(_) => seen.set(seen.get() + 1),
                Event::Audio(samples) => heard.set(heard.get() + samples.len()),
                Event::Retry { .. } => unreachable!(),
            })
            .unwrap();
        assert_eq!(clip.stop, Stop::Cancelled);
        assert_eq!(clip.frames, whole.frames[..after]);
        assert_eq!((clip.audio.len(), heard.get()), (after * 1_920, after * 1_920));
    }
}

#[test]
fn resuming_forcing_and_changing_mode_keep_the_random_position() {
    let checkpoint = demo();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    for &mode in MODES {
        let plain = job(&checkpoint, mode);
        let whole = generate(&mut pipeline, &plain);
        assert_eq!(whole.stop, Stop::Eos);
        let resumed = generate(&mut pipeline, &Job { history: whole.frames[..9].to_vec(), ..plain.clone() });
        assert_eq!(resumed.frames, whole.frames, "{mode:?}");
        assert!(max_difference(&resumed.audio, &whole.audio) < 1e-5);
        // The token that is drawn anyway, set by hand, changes nothing; another one changes what follows.
        let set = |token| vec![Edit::Token { frame: 5, codebook: 0, token }];
        let same = generate(&mut pipeline, &Job { edits: set(whole.frames[5][0]), ..plain.clone() });
        assert_eq!(same.frames, whole.frames);
        let other = generate(&mut pipeline, &Job { edits: set(whole.frames[5][0] + 1), ..plain.clone() });
        assert_eq!(other.frames[..5], whole.frames[..5]);
        assert_eq!(other.frames[5][0], whole.frames[5][0] + 1);
        assert_ne!(other.frames, whole.frames);
        let forced = generate(&mut pipeline, &Job { forced: Some(whole.frames.clone()), ..plain.clone() });
        assert_eq!((forced.stop, &forced.frames), (Stop::Forced, &whole.frames));
    }
    // Exact for four frames, then native: as native with those four as history.
    let exact = job(&checkpoint, Mode::Exact);
    let native = job(&checkpoint, Mode::Native).sampling;
    let begun = generate(&mut pipeline, &exact);
    let changed = generate(&mut pipeline, &Job { edits: vec![Edit::Sampling { frame: 4, sampling: native }], ..exact });
    let history = begun.frames[..4].to_vec();
    let resumed = generate(&mut pipeline, &Job { history, ..job(&checkpoint, Mode::Native) });
    assert_eq!(changed.frames, resumed.frames);
}

#[test]
fn rewinding_an_engine_gives_the_same_frames_again() {
    let checkpoint = demo();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    let job = job(&checkpoint, Mode::Exact);
    let clip = generate(&mut pipeline, &job);
    let engine = pipeline.engine(&job.sampling).unwrap();
    engine.rewind(&clip.frames[..3]).unwrap();
    for frame in 3..clip.frames.len() {
        let request = csm_studio::engine::Request { frame, sampling: &job.sampling, forced: &[], observe: false };
        assert_eq!(engine.step(&request).unwrap().codes, clip.frames[frame]);
    }
}

#[test]
fn the_range_guard_forbids_and_reports() {
    let checkpoint = demo();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    for &mode in MODES {
        let mut job = job(&checkpoint, mode);
        let plain = generate(&mut pipeline, &job);
        let guard = Guard::new(700, 800).unwrap();
        assert!(plain.frames.iter().flatten().any(|id| guard.forbids(*id)));
        job.sampling.guard = Some(guard);
        job.max_frames = 20;
        let clip = generate(&mut pipeline, &job);
        assert!(!clip.frames.iter().flatten().any(|id| guard.forbids(*id)), "{mode:?}");
        assert!(clip.guarded > 0);
        // A guard over ids that never come changes nothing.
        job.sampling.guard = Some(Guard::new(1_024, 1_026).unwrap());
        job.max_frames = 100;
        let clip = generate(&mut pipeline, &job);
        assert_eq!((clip.frames, clip.guarded), (plain.frames, 0), "{mode:?}");
    }
}

#[test]
fn a_clip_that_does_not_end_is_reported_and_tried_again() {
    let checkpoint = demo();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    let mut job = job(&checkpoint, Mode::Native);
    job.max_frames = 3;
    job.retries = 2;
    let retries = Cell::new(0);
    let clip = pipeline
        .generate(&job, &|| false, &mut |event| {
            retries.set(retries.get() + u32::from(matches!(event, Event::Retry { .. })))
        })
        .unwrap();
    assert_eq!((retries.get(), clip.sampling.seed, clip.stop), (2, 3, Stop::Cap));
    assert!(!clip.findings.is_empty());
}

#[test]
fn a_context_that_is_too_long_says_what_each_segment_takes() {
    let checkpoint = demo();
    let long = Segment { speaker: 0, text: "Hello there.".into(), frames: vec![vec![1; 6]; 2_000] };
    let prompt = Prompt::new(&checkpoint, &[long], 0, "Good morning.").unwrap();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    let job = Job { prompt, ..job(&checkpoint, Mode::Native) };
    let error = pipeline.generate(&job, &|| false, &mut |_| {}).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    // [0]Hello there. is 15 bytes and two marks, then 2,000 frames and the end frame.
    for part in ["context segment 1 2018", "the text 18", "2048", "100"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn seeds_at_both_ends_are_seeds_of_their_own() {
    let checkpoint = demo();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    let mut clips = Vec::new();
    for seed in [0, 1, u64::MAX - 1, u64::MAX] {
        let mut job = job(&checkpoint, Mode::Native);
        job.sampling.seed = seed;
        job.max_frames = 12;
        clips.push(generate(&mut pipeline, &job).frames);
    }
    clips.sort();
    clips.dedup();
    assert_eq!(clips.len(), 4);
}

/// Half precision is what `native` computes in where the checkpoint is stored so.
#[test]
fn every_precision_speaks() {
    let checkpoint = demo();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    for precision in [Dtype::Float32, Dtype::Float16, Dtype::Bfloat16] {
        let mut job = job(&checkpoint, Mode::Native);
        job.sampling.precision = precision;
        let clip = generate(&mut pipeline, &job);
        assert_eq!(clip.stop, Stop::Eos, "{precision:?}");
        let rms = (clip.audio.iter().map(|s| s * s).sum::<f32>() / clip.audio.len() as f32).sqrt();
        assert!(rms > 0.01, "{precision:?}: {rms}");
    }
}
