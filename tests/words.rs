//! When words are spoken.

use std::sync::Arc;

use csm_studio::alignment::{calibrate, known_heads, tracking};
use csm_studio::checkpoint::Checkpoint;
use csm_studio::data::{AttentionHead, ClipSpec, Codes, Dtype, Edit, Mode, TokenFile, WordTime};
use csm_studio::engine::{Engine, FrameRequest, GenerationRequest};
use csm_studio::mlx::MlxCsm;
use csm_studio::worker::{CancelToken, WorkerHandle};
use serde::Deserialize;

use crate::support::golden::Golden;
use crate::support::repository;
use crate::support::test_dir::{TestDir, assert_success};

/// A clip of the demo voice with the true beginnings of its words, from its own codes (tests/words/truth.py).
#[derive(Deserialize)]
struct KnownClip {
    text: String,
    speaker: u32,
    frames: Vec<Vec<u32>>,
    begins: Vec<Option<f64>>,
}

fn words_of(checkpoint: &Checkpoint, worker: &WorkerHandle, text: &str, speaker: u32, codes: &Codes) -> Vec<WordTime> {
    let spec = ClipSpec::new(text, speaker, checkpoint.suggested_sampling(Mode::Native, 0));
    let prompt = checkpoint.prompt(&spec).unwrap();
    let tracking = tracking(checkpoint, checkpoint.alignment_heads().unwrap(), &spec, &prompt).unwrap();
    let request = GenerationRequest::teacher_forced(&spec, prompt, codes).tracked(tracking);
    worker.generate(request, CancelToken::default()).unwrap().wait(|_| {}).unwrap().words.unwrap_or_default()
}

#[test]
fn words_begin_where_the_voices_codes_say() {
    let checkpoint = Arc::new(Checkpoint::demo().unwrap());
    let worker = WorkerHandle::start(checkpoint.clone(), || {}).unwrap();
    let known = std::fs::read(repository("tests/goldens/word_times/clips.json")).unwrap();
    let known: Vec<KnownClip> = serde_json::from_slice(&known).unwrap();
    assert!(known.len() >= 30);
    let mut errors = Vec::new();
    for clip in &known {
        let codes = Codes::from_frames(clip.frames.clone()).unwrap();
        let words = words_of(&checkpoint, &worker, &clip.text, clip.speaker, &codes);
        assert_eq!(words.len(), clip.begins.len(), "{}", clip.text);
        let spoken: Vec<&str> = clip.text.split_whitespace().collect();
        assert_eq!(words.iter().map(|word| word.word.as_str()).collect::<Vec<_>>(), spoken);
        assert!(words.windows(2).all(|pair| pair[0].start <= pair[1].start), "{words:?}");
        let pairs = words.iter().zip(&clip.begins);
        errors.extend(pairs.filter_map(|(word, begin)| Some((word.start - (*begin)?).abs())));
    }
    errors.sort_by(f64::total_cmp);
    let within = |limit: f64| errors.iter().filter(|error| **error <= limit).count() as f64 / errors.len() as f64;
    let median = errors[errors.len() / 2];
    assert!(errors.len() > 150 && median < 0.05 && within(0.16) > 0.95, "{median}, {}", within(0.16));
}

#[test]
fn random_weights_follow_no_text() {
    let folder = Golden::read("mini").build();
    let home = tempfile::tempdir().unwrap();
    // SAFETY: nextest gives this test its own process.
    unsafe { std::env::set_var("XDG_CACHE_HOME", home.path()) };
    let checkpoint = Arc::new(Checkpoint::open(folder.path()).unwrap());
    let worker = WorkerHandle::start(checkpoint.clone(), || {}).unwrap();
    assert_eq!(known_heads(&checkpoint).unwrap(), None);
    let heads = calibrate(&checkpoint, &worker, &CancelToken::default(), |_, _| {}).unwrap();
    assert!(heads.is_empty(), "{heads:?}");
    assert_eq!(known_heads(&checkpoint).unwrap(), Some(Vec::new()), "it is kept");
}

#[test]
fn calibration_finds_the_demo_voices_heads() {
    let checkpoint = Arc::new(Checkpoint::demo().unwrap());
    let home = tempfile::tempdir().unwrap();
    // SAFETY: nextest gives this test its own process.
    unsafe { std::env::set_var("XDG_CACHE_HOME", home.path()) };
    let worker = WorkerHandle::start(checkpoint.clone(), || {}).unwrap();
    let found = calibrate(&checkpoint, &worker, &CancelToken::default(), |_, _| {}).unwrap();
    assert_eq!(found, checkpoint.alignment_heads().unwrap(), "assets/voice/alignment.json");
}

/// Both ways of MLX and PyTorch give the same attention, and recording it changes no token.
#[test]
fn every_engine_records_the_same_attention() {
    let checkpoint = Checkpoint::demo().unwrap();
    let spec = ClipSpec::new("Good morning.", 0, checkpoint.suggested_sampling(Mode::Exact, 5));
    let prompt = checkpoint.prompt(&spec).unwrap();
    let heads = [AttentionHead { layer: 0, head: 3 }, AttentionHead { layer: 2, head: 1 }];
    let mut engines: Vec<Box<dyn Engine>> = vec![
        Box::new(MlxCsm::load(&checkpoint, Dtype::Float32).unwrap()),
        Box::new(MlxCsm::load_graph(&checkpoint, Dtype::Float32).unwrap()),
    ];
    #[cfg(feature = "torch")]
    engines.push(csm_studio::torch::load(&checkpoint, Dtype::Float32).unwrap());
    let mut clips = Vec::new();
    for engine in &mut engines {
        for recorded in [&[][..], &heads[..]] {
            engine.record_attention(recorded).unwrap();
            engine.prefill(&prompt, &Codes::default()).unwrap();
            let (mut codes, mut attention) = (Vec::new(), Vec::new());
            for frame in 0..6 {
                let request =
                    FrameRequest { frame, sampling: &spec.sampling, forced: &[], recent: &[], observe: false };
                let output = engine.next_frame(&request).unwrap();
                assert_eq!(output.attention.len(), recorded.len());
                for weights in &output.attention {
                    assert_eq!(weights.len(), prompt.positions.len() + frame);
                    assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-4);
                }
                codes.push(output.codes);
                attention.extend(output.attention);
            }
            clips.push((codes, attention));
        }
        let wrong = [AttentionHead { layer: 99, head: 0 }];
        assert!(engine.record_attention(&wrong).is_err());
        assert!(engine.record_attention(&[heads[1], heads[0]]).is_err(), "in ascending order");
    }
    for (codes, attention) in &clips {
        assert_eq!(*codes, clips[0].0);
        let pairs = attention.iter().flatten().zip(clips[1].1.iter().flatten());
        assert!(pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-4);
    }
}

/// Clips that are made side by side have their own words.
#[test]
fn clips_of_a_batch_have_their_own_words() {
    let checkpoint = Arc::new(Checkpoint::demo().unwrap());
    let worker = WorkerHandle::start(checkpoint.clone(), || {}).unwrap();
    let text = "We heard music from the open window.";
    let spec = ClipSpec::new(text, 1, checkpoint.suggested_sampling(Mode::Exact, 1));
    let prompt = checkpoint.prompt(&spec).unwrap();
    let tracking = tracking(&checkpoint, checkpoint.alignment_heads().unwrap(), &spec, &prompt).unwrap();
    let request = GenerationRequest::new(&spec, prompt, 100).tracked(tracking);
    let together =
        worker.generate_batch(request.clone(), vec![1, 2], CancelToken::default()).unwrap().wait(|_| {}).unwrap();
    for (seed, made) in [1, 2].into_iter().zip(together) {
        let mut alone = request.clone();
        alone.spec.sampling.seed = seed;
        let alone = worker.generate(alone, CancelToken::default()).unwrap().wait(|_| {}).unwrap();
        assert_eq!(made.clip.codes, alone.clip.codes);
        let (a, b) = (made.words.unwrap(), alone.words.unwrap());
        assert_eq!(a.len(), 7);
        assert!(a.iter().zip(&b).all(|(a, b)| (a.start - b.start).abs() < 1e-3), "{a:?} {b:?}");
    }
}

/// A word is spoken again: everything before it stays to the token, what follows is the clip's own, and the token file makes all of it
/// again. The last word has nothing after it.
#[test]
fn a_word_is_spoken_again_and_everything_around_it_stays() {
    let dir = TestDir::new();
    let csm = |line: &str| dir.csm(&line.split(' ').collect::<Vec<_>>());
    let read = |name: &str| TokenFile::read(&dir.at(name), &Checkpoint::demo().unwrap().dims()).unwrap();
    let speak = dir.csm(&[
        "generate",
        "--text",
        "The little boat sailed across the quiet lake.",
        "--seed",
        "3",
        "--sampling",
        "exact",
        "--dump-tokens",
        "a.json",
    ]);
    assert_success(&speak);
    let clip = read("a.json");
    let mut changed = 0;
    for (seed, word) in [(1, "boat"), (2, "sailed"), (3, "quiet"), (4, "the:2"), (5, "lake")] {
        let again = format!(
            "generate --again a.json --retake-word {word} --seed {seed} --dump-tokens b.json --output b.wav --json"
        );
        let result: serde_json::Value = serde_json::from_str(&assert_success(&csm(&again))).unwrap();
        let retaken = read("b.json");
        let Some(Edit::Seed { frame: from, .. }) = retaken.edits.first() else { panic!("{:?}", retaken.edits) };
        assert!(*from > 0, "{:?}", retaken.edits);
        assert_eq!(retaken.frames.prefix(*from), clip.frames.prefix(*from), "{word}");
        assert_eq!(retaken.stop, clip.stop);
        if word == "lake" {
            assert_eq!((retaken.edits.len(), &result["seam"]), (1, &serde_json::Value::Null));
        } else {
            let Some(Edit::Frames { frame: joint, frames, .. }) = retaken.edits.last() else {
                panic!("{:?}", retaken.edits)
            };
            let rest = retaken.frames.len() - joint;
            assert_eq!(frames.len(), rest + 1, "the rest of the clip, and its end");
            assert_eq!(retaken.frames.part(*joint..usize::MAX), clip.frames.part(clip.frames.len() - rest..usize::MAX));
            assert_eq!(result["seam"]["frame"], *joint);
            let bits = result["seam"]["bits"].as_f64().unwrap();
            assert!(bits.is_finite() && bits < 200.0, "{word}: {bits}");
        }
        changed += usize::from(retaken.frames != clip.frames);
        assert_success(&csm("generate --again b.json --dump-tokens c.json --output c.wav"));
        assert_eq!(read("c.json"), retaken, "{word}: the token file makes the clip again");
    }
    assert!(changed == 5, "{changed} of 5 words changed");
    let missing = csm("generate --again a.json --retake-word ship --seed 1 --output d.wav");
    let error = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(
        missing.status.code() == Some(2) && error.contains("--retake-word") && error.contains("quiet lake."),
        "{error}"
    );
}

/// A word that the text has and the clip does not say is found, and so is one that is said twice; a clip that says its text passes.
#[test]
fn words_that_are_not_spoken_as_written_are_found() {
    let dir = TestDir::new();
    let text = "My uncle repairs old clocks.";
    for (said, expected) in [
        (text, None),
        ("My uncle repairs clocks.", Some(("left-out", "old"))),
        ("My uncle repairs old old clocks.", Some(("repeated", "old"))),
        ("My uncle old repairs clocks.", Some(("swapped", "repairs"))),
    ] {
        let tokens = dir.at("t.json");
        assert_success(&dir.csm(&["generate", "--text", said, "--seed", "1", "--dump-tokens", "t.json"]));
        let file = TokenFile::read(&tokens, &Checkpoint::demo().unwrap().dims()).unwrap();
        TokenFile { text: Some(text.into()), ..file }.write(&tokens).unwrap();
        let checked = dir.csm(&["align", "t.json", "--check", "--json"]);
        let problems: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
        let problems: Vec<(&str, &str)> = problems
            .as_array()
            .unwrap()
            .iter()
            .map(|problem| (problem["kind"].as_str().unwrap(), problem["word"].as_str().unwrap()))
            .collect();
        assert_eq!(problems, Vec::from_iter(expected), "{said}");
        assert_eq!(checked.status.code(), Some(i32::from(expected.is_some())));
    }
}
