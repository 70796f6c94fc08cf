//! `csm verify`, on a little of everything: the demo voice, and 32 codebooks.

use std::sync::Arc;

use csm_studio::checkpoint::Checkpoint;
use csm_studio::sampling::Mode;
use csm_studio::verify::{Plan, run};

use crate::support::golden::Golden;

fn verify(checkpoint: &Arc<Checkpoint>, plan: &Plan) {
    let results = run(checkpoint, plan, &mut |_| {}).unwrap();
    println!("{}", results.table());
    assert!(results.passed());
}

#[test]
fn noise_and_sampler_are_pytorchs() {
    let plan = Plan {
        mode: Some(Mode::Exact),
        clips: 1,
        max_frames: 3,
        noise_values: 1_000_000,
        draws: 8_400,
        ..Plan::quick()
    };
    verify(&Arc::new(Checkpoint::demo().unwrap()), &plan);
}

#[test]
fn native_draws_the_right_distribution_and_a_wrong_one_is_caught() {
    let plan = Plan { mode: Some(Mode::Native), ..Plan::quick() };
    verify(&Arc::new(Checkpoint::demo().unwrap()), &plan);
}

#[test]
fn exact_and_hybrid_speak_the_same_clips() {
    let plan = Plan { mode: Some(Mode::Hybrid), clips: 4, ..Plan::quick() };
    verify(&Arc::new(Checkpoint::demo().unwrap()), &plan);
    let folder = Golden::read("twin").build();
    verify(&Arc::new(Checkpoint::open(folder.path()).unwrap()), &Plan { clips: 2, max_frames: 40, ..plan });
}

/// Logits that are off by more than rounding are noticed: the bfloat16 model is not the float32 one.
#[test]
fn another_models_clips_are_not_the_same() {
    use csm_studio::checkpoint::Dtype;
    use csm_studio::engine::{Engine, Request};
    use csm_studio::prompt::Prompt;
    use csm_studio::sampling::Sampling;
    let checkpoint = Checkpoint::demo().unwrap();
    let prompt = Prompt::new(&checkpoint, &[], 0, "The old captain carried a heavy wooden box up the stairs.").unwrap();
    let speak = |precision| {
        let mut engine = csm_studio::mlx::Csm::load(&checkpoint, precision).unwrap();
        let mut sampling = Sampling::suggested(&checkpoint.generation, Mode::Exact, 0, precision, 1_027);
        (sampling.temperature, sampling.depth_temperature) = (1.5, 1.5);
        engine.start(&prompt, &[]).unwrap();
        let step =
            |frame| engine.step(&Request { frame, sampling: &sampling, forced: &[], observe: false }).unwrap().codes;
        (0..40).map(step).collect::<Vec<_>>()
    };
    assert_ne!(speak(Dtype::Float32), speak(Dtype::Bfloat16));
}
