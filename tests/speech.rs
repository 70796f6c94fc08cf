//! The whole path on the demo voice: one loop, streaming, cancelling, observing.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use csm_studio::analysis::what_if::what_if;
use csm_studio::checkpoint::Checkpoint;
use csm_studio::data::{
    Backend, ClipSpec, Codes, Dtype, Edit, FinishReason, Mode, RangeGuard, Sampling, SamplingParams, TokenFile, Turn,
};
use csm_studio::engine::{FrameRequest, Generation, GenerationRequest, SingleEngine, observed_clip};
use csm_studio::mlx::mimi::Mimi;
use csm_studio::mlx::{MlxCsm, synchronisations};
use csm_studio::sampling::mlx_noise::{fill_mlx_noise, native_seed};
use csm_studio::sampling::reference::sample_token;
use csm_studio::worker::{Event, GenerateJob, GeneratedClip, Pipeline};

use crate::support::golden::Golden;
use crate::support::max_difference;

/// The modes that this build has.
fn modes() -> impl Iterator<Item = Mode> {
    let available = |info: &&csm_studio::data::ModeInfo| csm_studio::torch::AVAILABLE || info.backend != Backend::Torch;
    Mode::all().iter().filter(available).map(|info| info.mode)
}

fn demo() -> Arc<Checkpoint> {
    Arc::new(Checkpoint::demo().unwrap())
}

fn request(checkpoint: &Checkpoint, mode: Mode) -> GenerationRequest {
    let mut sampling = checkpoint.suggested_sampling(mode, 1);
    sampling.precision = Dtype::Float32;
    let spec = ClipSpec::new("Good morning, how are you today?", 0, sampling);
    GenerationRequest::new(&spec, checkpoint.prompt(&spec).unwrap(), 100)
}

fn with_edits(request: &GenerationRequest, edits: Vec<Edit>) -> GenerationRequest {
    let spec = ClipSpec { edits, ..request.spec.clone() };
    GenerationRequest { spec, ..request.clone() }
}

fn generate(pipeline: &mut Pipeline, request: &GenerationRequest) -> GeneratedClip {
    pipeline.generate(&request.clone().into(), &|| false, &mut |_| {}).unwrap()
}

/// MLX's noise is known without MLX: each mode's own settings would have drawn each of its tokens again, and single draws are MLX's.
#[test]
fn the_noise_of_every_mode_is_known_without_the_model() {
    let checkpoint = demo();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    for mode in modes() {
        let request = GenerationRequest { observe: true, ..request(&checkpoint, mode) };
        let engine = &mut SingleEngine(pipeline.engine(&request.spec.sampling).unwrap());
        let (frames, logits) = observed_clip(&request, &checkpoint.dims(), engine).unwrap();
        let again = what_if(&frames, &logits, |_| request.spec.sampling, || false).unwrap();
        assert_eq!((again.flips, &again.tokens), (0, &frames), "{mode:?}");
        let greedy = Sampling { codebook0: SamplingParams::new(0.0, 1), ..request.spec.sampling };
        assert!(what_if(&frames, &logits, |_| greedy, || false).unwrap().flips > 0, "{mode:?}");
    }
    // Vocabularies of even and odd size.
    for vocab in [2_051, 1_024, 7] {
        let logits: Vec<f32> = (0..vocab).map(|id| ((id * 37 % 101) as f32) / 25.0).collect();
        let params = SamplingParams::new(0.9, vocab);
        let drawn = csm_studio::mlx::native_draws(&logits, params, 5, 3_000).unwrap();
        let mut noise = vec![0.0; vocab];
        let ours = (0..3_000).map(|frame| {
            fill_mlx_noise(native_seed(5, frame, 0), &mut noise);
            sample_token(&logits, params, None, &noise)
        });
        assert_eq!(ours.collect::<Vec<_>>(), drawn, "{vocab}");
    }
}

#[test]
fn a_frame_takes_one_synchronisation_whoever_watches() {
    let checkpoint = demo();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    for mode in [Mode::Native, Mode::Exact] {
        let mut request = request(&checkpoint, mode);
        for observe in [false, true] {
            request.observe = observe;
            generate(&mut pipeline, &request); // loads the engine
            let engine = pipeline.engine(&request.spec.sampling).unwrap();
            engine.prefill(&request.prompt, &Codes::default()).unwrap();
            let before = synchronisations();
            for frame in 0..10 {
                let frame = FrameRequest { frame, sampling: &request.spec.sampling, forced: &[], recent: &[], observe };
                assert_eq!(engine.next_frame(&frame).unwrap().logits.is_some(), observe);
            }
            assert_eq!(synchronisations() - before, 10, "{mode:?}, observe {observe}");
        }
    }
}

#[test]
fn observing_changes_nothing_and_sees_what_was_drawn_from() {
    let checkpoint = demo();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    let mut request = request(&checkpoint, Mode::Exact);
    let unseen = generate(&mut pipeline, &request);
    request.observe = true;
    let drawn = RefCell::new(Vec::new());
    let seen = pipeline
        .generate(&request.clone().into(), &|| false, &mut |event| {
            if let Event::Frame(event) = event {
                drawn.borrow_mut().push((event.frame.codes, event.frame.logits.unwrap()));
            }
        })
        .unwrap();
    assert_eq!(unseen.clip.codes, seen.clip.codes);
    // The reference sampler draws the same tokens from the logits that were shown.
    let dims = checkpoint.dims();
    let mut noise = csm_studio::sampling::noise::TorchNoise::new(request.spec.sampling.seed);
    let mut q = vec![0.0; dims.vocab];
    for (codes, logits) in drawn.into_inner() {
        assert_eq!(logits.rows().len(), dims.codebooks);
        for (codebook, row) in logits.rows().enumerate() {
            noise.fill(&mut q);
            let token = sample_token(row, request.spec.sampling.params_for(codebook), None, &q);
            assert_eq!(token, codes[codebook]);
        }
    }
}

#[test]
fn streaming_equals_the_whole_clip_for_any_chunks() {
    for name in ["mini", "window", "wide"] {
        let golden = Golden::read(name);
        let folder = golden.build();
        let mimi = Mimi::load(&Checkpoint::open(folder.path()).unwrap()).unwrap();
        let frames = golden.tokens("plain/greedy");
        let whole = mimi.decode(&mut mimi.stream(), &frames).unwrap();
        assert_eq!(whole.len(), frames.len() * mimi.frame_samples());
        for sizes in [vec![1], vec![2, 1, 5], vec![7, 3], vec![frames.len() - 1, 1]] {
            let mut stream = mimi.stream();
            let mut pieces = Vec::new();
            let (mut at, mut n) = (0, 0);
            while at < frames.len() {
                let end = (at + sizes[n % sizes.len()]).min(frames.len());
                let chunk = Codes::from_frames((at..end).map(|t| frames.frame(t))).unwrap();
                pieces.extend(mimi.decode(&mut stream, &chunk).unwrap());
                (at, n) = (end, n + 1);
            }
            // Equal sums in other orders; the signal is of size 1.
            let difference = max_difference(&whole, &pieces);
            assert!(difference < 1e-5, "{name}, {sizes:?}: {difference}");
        }
        let again = mimi.decode(&mut mimi.stream(), &frames).unwrap();
        assert_eq!(whole, again, "a new stream carries nothing over");
    }
}

#[test]
fn cancelling_keeps_what_was_made() {
    let checkpoint = demo();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    let request = request(&checkpoint, Mode::Exact);
    let whole = generate(&mut pipeline, &request);
    for after in [0, 1, 7] {
        let seen = Cell::new(0);
        let heard = Cell::new(0);
        let clip = pipeline
            .generate(&request.clone().into(), &|| seen.get() == after, &mut |event| match event {
                Event::Frame(_) => seen.set(seen.get() + 1),
                Event::Audio(samples) => heard.set(heard.get() + samples.len()),
                Event::Retry { .. } => unreachable!(),
            })
            .unwrap();
        assert_eq!(clip.clip.stop, Some(FinishReason::Cancelled));
        assert_eq!(clip.clip.codes, whole.clip.codes.prefix(after));
        assert_eq!((clip.clip.audio.len(), heard.get()), (after * 1_920, after * 1_920));
    }
}

#[test]
fn resuming_forcing_and_changing_mode_keep_the_random_position() {
    let checkpoint = demo();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    for mode in modes() {
        let plain = request(&checkpoint, mode);
        let whole = generate(&mut pipeline, &plain);
        assert_eq!(whole.clip.stop, Some(FinishReason::Eos));
        let resumed =
            generate(&mut pipeline, &GenerationRequest { history: whole.clip.codes.prefix(9), ..plain.clone() });
        assert_eq!(resumed.clip.codes, whole.clip.codes, "{mode:?}");
        assert!(max_difference(&resumed.clip.audio, &whole.clip.audio) < 1e-5);
        // The token that is drawn anyway, set by hand, changes nothing; another one changes what follows.
        let set = |token| vec![Edit::Token { frame: 5, codebook: 0, token }];
        let same = generate(&mut pipeline, &with_edits(&plain, set(whole.clip.codes.frame(5)[0])));
        assert_eq!(same.clip.codes, whole.clip.codes);
        let other = generate(&mut pipeline, &with_edits(&plain, set(whole.clip.codes.frame(5)[0] + 1)));
        assert_eq!(other.clip.codes.prefix(5), whole.clip.codes.prefix(5));
        assert_eq!(other.clip.codes.frame(5)[0], whole.clip.codes.frame(5)[0] + 1);
        assert_ne!(other.clip.codes, whole.clip.codes);
        let forced =
            generate(&mut pipeline, &GenerationRequest { forced: Some(whole.clip.codes.clone()), ..plain.clone() });
        assert_eq!((forced.clip.stop, &forced.clip.codes), (Some(FinishReason::Forced), &whole.clip.codes));
    }
    // Exact for four frames, then native: as native with those four as history.
    let exact = request(&checkpoint, Mode::Exact);
    let native = request(&checkpoint, Mode::Native).spec.sampling;
    let begun = generate(&mut pipeline, &exact);
    let edits = vec![Edit::Sampling { frame: 4, sampling: native }];
    let changed = generate(&mut pipeline, &with_edits(&exact, edits));
    let history = begun.clip.codes.prefix(4);
    let resumed = generate(&mut pipeline, &GenerationRequest { history, ..request(&checkpoint, Mode::Native) });
    assert_eq!(changed.clip.codes, resumed.clip.codes);
}

/// Teacher forcing of a clip that the model ended computes the draw that ended it, as the window and `csm analyze` show it.
#[test]
fn teacher_forcing_knows_the_draw_that_ended_a_clip() {
    let checkpoint = demo();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    let request = request(&checkpoint, Mode::Exact).observed();
    let made = generate(&mut pipeline, &request);
    assert_eq!(made.clip.stop, Some(FinishReason::Eos));
    let forced = GenerationRequest::teacher_forced_clip(&request.spec, request.prompt.clone(), &made.clip);
    let again = generate(&mut pipeline, &forced);
    let end = |made: &GeneratedClip| {
        let frame = made.end_frame.as_ref().expect("the model ended the clip");
        csm_studio::analysis::steps::end_probability(frame.logits.as_ref().unwrap())
    };
    assert_eq!(again.clip.codes, made.clip.codes);
    assert!((end(&again) - end(&made)).abs() < 1e-6 && end(&made) > 0.0);
}

#[test]
fn the_range_guard_forbids_and_reports() {
    let checkpoint = demo();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    for mode in modes() {
        let mut request = request(&checkpoint, mode);
        let plain = generate(&mut pipeline, &request);
        let guard = RangeGuard::new(700, 800).unwrap();
        assert!(plain.clip.codes.ids().iter().any(|id| guard.forbids(*id)));
        request.spec.sampling.guard = Some(guard);
        request.max_frames = 20;
        let clip = generate(&mut pipeline, &request);
        assert!(!clip.clip.codes.ids().iter().any(|id| guard.forbids(*id)), "{mode:?}");
        assert!(clip.guarded > 0);
        // A guard over ids that never come changes nothing.
        request.spec.sampling.guard = Some(RangeGuard::new(1_024, 1_026).unwrap());
        request.max_frames = 100;
        let clip = generate(&mut pipeline, &request);
        assert_eq!((clip.clip.codes, clip.guarded), (plain.clip.codes, 0), "{mode:?}");
    }
}

#[test]
fn a_clip_that_does_not_end_is_reported_and_tried_again() {
    let checkpoint = demo();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    let mut request = request(&checkpoint, Mode::Native);
    request.max_frames = 3;
    let retries = Cell::new(0);
    let clip = pipeline
        .generate(&GenerateJob { request, retries: 2 }, &|| false, &mut |event| {
            retries.set(retries.get() + u32::from(matches!(event, Event::Retry { .. })));
        })
        .unwrap();
    assert_eq!(
        (retries.get(), clip.clip.origin.sampling.unwrap().seed, clip.clip.stop),
        (2, 3, Some(FinishReason::Length))
    );
    assert!(!clip.issues.is_empty());
}

#[test]
fn a_context_that_is_too_long_says_what_each_segment_takes() {
    let checkpoint = demo();
    let frames = Codes::from_frames(vec![[1; 6]; 2_000]).unwrap();
    let long = Turn { speaker: 0, text: "Hello there.".into(), frames };
    let sampling = checkpoint.suggested_sampling(Mode::Native, 1);
    let spec = ClipSpec { context: vec![long], ..ClipSpec::new("Good morning.", 0, sampling) };
    let prompt = checkpoint.prompt(&spec).unwrap();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    let request = GenerationRequest { prompt, ..request(&checkpoint, Mode::Native) };
    let error = pipeline.generate(&request.into(), &|| false, &mut |_| {}).unwrap_err();
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
        let mut request = request(&checkpoint, Mode::Native);
        request.spec.sampling.seed = seed;
        request.max_frames = 12;
        clips.push(generate(&mut pipeline, &request).clip.codes);
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
        let mut request = request(&checkpoint, Mode::Native);
        request.spec.sampling.precision = precision;
        let clip = generate(&mut pipeline, &request);
        assert_eq!(clip.clip.stop, Some(FinishReason::Eos), "{precision:?}");
        let rms = (clip.clip.audio.iter().map(|s| s * s).sum::<f32>() / clip.clip.audio.len() as f32).sqrt();
        assert!(rms > 0.01, "{precision:?}: {rms}");
    }
}

/// Side by side or alone, on the processor's own operations or as MLX's graph: the same tokens, with edits and with a guard too.
#[test]
fn clips_of_a_batch_are_the_clips_made_alone() {
    let checkpoint = demo();
    let mut pipeline = Pipeline::new(checkpoint.clone()).unwrap();
    let mut graph = MlxCsm::load_graph(&checkpoint, Dtype::Float32).unwrap();
    let seeds = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]; // more than go side by side at once
    for mode in modes() {
        let mut request = request(&checkpoint, mode);
        request.max_frames = 30;
        request.spec.sampling.guard = Some("7-20".parse().unwrap());
        request.spec.edits = vec![Edit::Token { frame: 2, codebook: 1, token: 99 }];
        request.observe = true;
        let mut frames = vec![Codes::new(checkpoint.dims().codebooks); seeds.len()];
        let mut observer = |clip: usize, event| {
            if let Event::Frame(event) = event {
                assert!(event.frame.logits.is_some());
                frames[clip].push(&event.frame.codes);
            }
        };
        let clips = pipeline.generate_batch(&request.clone().into(), &seeds, &|| false, &mut observer).unwrap();
        assert_eq!(clips.len(), seeds.len());
        for ((clip, seed), seen) in clips.iter().zip(seeds).zip(&frames) {
            request.spec.sampling.seed = seed;
            let alone = generate(&mut pipeline, &request);
            assert_eq!(
                (&clip.clip.codes, clip.clip.stop),
                (&alone.clip.codes, alone.clip.stop),
                "{}, seed {seed}",
                mode.name()
            );
            assert_eq!((seen, clip.guarded, &clip.clip.origin), (&alone.clip.codes, alone.guarded, &alone.clip.origin));
            assert_eq!(clip.clip.audio.len(), alone.clip.audio.len());
            let difference =
                clip.clip.audio.iter().zip(&alone.clip.audio).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(difference < 1e-4, "{difference}");
            if mode.info().backend == Backend::Mlx {
                let (frames, _) = observed_clip(&request, &checkpoint.dims(), &mut SingleEngine(&mut graph)).unwrap();
                assert_eq!(frames, alone.clip.codes, "{} as a graph, seed {seed}", mode.name());
            }
        }
        let lengths: Vec<usize> = clips.iter().map(|clip| clip.clip.codes.len()).collect();
        assert!(lengths.iter().any(|n| *n != lengths[0]), "all clips end together: {lengths:?}");
    }
}

/// MLX's graph makes several clips at once as well.
#[test]
fn a_graph_makes_several_clips_at_once() {
    let checkpoint = demo();
    let mut graph = MlxCsm::load_graph(&checkpoint, Dtype::Float32).unwrap();
    for mode in [Mode::Native, Mode::Exact] {
        let mut request = request(&checkpoint, mode);
        request.max_frames = 30;
        let seeds = [3, 4, 5];
        let mut batch = Generation::new(&request, &seeds, &checkpoint.dims()).unwrap();
        while !batch.next_frames(&mut SingleEngine(&mut graph)).unwrap().is_empty() {}
        let together: Vec<Codes> = (0..seeds.len()).map(|n| batch.codes(n).clone()).collect();
        for (seed, together) in seeds.into_iter().zip(together) {
            let mut request = request.clone();
            request.spec.sampling.seed = seed;
            let (alone, _) = observed_clip(&request, &checkpoint.dims(), &mut SingleEngine(&mut graph)).unwrap();
            assert_eq!(together, alone, "{}, seed {seed}", mode.name());
        }
    }
}

/// A seed of *native* gives what it gave in an earlier version: tests/goldens/native.json was written by one.
#[test]
fn a_native_seed_gives_what_it_always_gave() {
    let path = crate::support::repository("tests/goldens/native.json");
    let checkpoint = demo();
    let kept = TokenFile::read(&path, &checkpoint.dims()).unwrap();
    let spec = kept.clip_spec(&path).unwrap();
    let request = GenerationRequest::new(&spec, checkpoint.prompt(&spec).unwrap(), 100);
    assert_eq!(generate(&mut Pipeline::new(checkpoint).unwrap(), &request).clip.codes, kept.frames);
}
