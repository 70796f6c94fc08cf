//! `csm verify`, on a little of everything: the demo voice, and 32 codebooks.

use csm_studio::checkpoint::Checkpoint;
use csm_studio::data::Mode;
use csm_studio::verify::{VerifyConfig, run};

use crate::support::golden::Golden;

fn verify(checkpoint: &Checkpoint, config: &VerifyConfig) {
    let results = run(checkpoint, config, &mut |_| {}).unwrap();
    println!("{}", results.table());
    assert!(results.passed());
}

#[test]
fn noise_and_sampler_are_pytorchs() {
    let config = VerifyConfig {
        mode: Some(Mode::Exact),
        clips: 1,
        max_frames: 3,
        noise_values: 1_000_000,
        draws: 8_400,
        ..VerifyConfig::quick()
    };
    verify(&Checkpoint::demo().unwrap(), &config);
}

#[test]
fn native_draws_the_right_distribution_and_a_wrong_one_is_caught() {
    let config = VerifyConfig { mode: Some(Mode::Native), ..VerifyConfig::quick() };
    verify(&Checkpoint::demo().unwrap(), &config);
}

#[test]
fn exact_and_hybrid_speak_the_same_clips() {
    let config = VerifyConfig { mode: Some(Mode::Hybrid), clips: 4, ..VerifyConfig::quick() };
    verify(&Checkpoint::demo().unwrap(), &config);
    let folder = Golden::read("twin").build();
    verify(&Checkpoint::open(folder.path()).unwrap(), &VerifyConfig { clips: 2, max_frames: 40, ..config });
}

/// Logits that are off by more than rounding are noticed: the bfloat16 model is not the float32 one.
#[test]
fn another_models_clips_are_not_the_same() {
    use csm_studio::data::{ClipSpec, Dtype, Sampling, SamplingParams};
    use csm_studio::engine::{Generation, GenerationRequest, LoopEvent, SingleEngine};
    let checkpoint = Checkpoint::demo().unwrap();
    let speak = |precision| {
        let sampling = Sampling::new(Mode::Exact, SamplingParams::new(1.5, 50), 0, precision);
        let text = "The old captain carried a heavy wooden box up the stairs.";
        let spec = ClipSpec::new(text, 0, sampling);
        let request = GenerationRequest::new(&spec, checkpoint.prompt(&spec).unwrap(), 40);
        let mut engine = csm_studio::mlx::MlxCsm::load(&checkpoint, precision).unwrap();
        let mut generation = Generation::new(&request, &[0], &checkpoint.dims()).unwrap();
        while let LoopEvent::Frame(_) = generation.next_frame(&mut SingleEngine(&mut engine)).unwrap() {}
        generation.codes(0).clone()
    };
    assert_ne!(speak(Dtype::Float32), speak(Dtype::Bfloat16));
}

#[test]
fn the_flag_needs_no_value() {
    use crate::support::test_dir::{TestDir, assert_success};
    let dir = TestDir::new();
    let table = assert_success(&dir.csm(&["verify", "--quick", "--clips", "1", "--test-sampling"]));
    for check in ["noise", "sampler", "distribution", "teacher-forced", "free-running"] {
        assert!(table.contains(&format!("| {check} |")), "{check} is not in: {table}");
    }
    let native = assert_success(&dir.csm(&["verify", "--quick", "--test-sampling", "native"]));
    assert!(native.contains("| distribution |") && !native.contains("| noise |"), "{native}");
}
