//! `csm quantize`: what is written opens again with the numbers that MLX's quantisation gives, and the report counts what it costs.

use csm_studio::checkpoint::Checkpoint;
use csm_studio::quantize::{QuantizeSpec, measure, quantize, unfinished};
use regex::Regex;
use tempfile::TempDir;

use crate::support::golden::Golden;
use crate::support::layout;
use crate::support::max_difference;

fn spec(bits: usize, group: usize, keep: &[&str]) -> QuantizeSpec {
    QuantizeSpec { bits, group, keep: keep.iter().map(|k| Regex::new(k).unwrap()).collect() }
}

#[test]
fn a_quantised_checkpoint_opens_and_is_measured() {
    let base = Golden::read("mini").build();
    let float = Checkpoint::open(base.path()).unwrap();
    let out = TempDir::new().unwrap();
    let folder = out.path().join("q8");
    let written = quantize(&float, &folder, &spec(8, 32, &["codebook0_head"]), &|| false).unwrap();
    let quantised = Checkpoint::open(&folder).unwrap();
    assert_eq!(quantised.formats, ["MLX", "transformers"]);
    assert_eq!(quantised.tensors.quantisations(), [(8, 32, written.quantised)]);
    assert!(written.bytes < written.bytes_before && written.quantised > 10);
    // Names, shapes and numbers are those of MLX's own quantisation of the same matrices in the same row order.
    let heads = layout::Heads { backbone: 16, depth: 12, codec: 8 };
    let mut dense = layout::mlx(&layout::read(&base.path().join("model.safetensors")), heads);
    let stored = layout::read(&folder.join("model.safetensors"));
    let kept = dense.remove("model.codebook0_head.weight").unwrap();
    assert_eq!(stored["model.codebook0_head.weight"], kept);
    for (name, tensor) in &dense {
        let multiple = tensor.shape.len() == 2 && tensor.shape[1] % 64 == 0 && !name.contains("norm");
        let one = layout::quantised(&[(name.clone(), tensor.clone())].into(), 8, 32);
        let expected = if multiple { one } else { [(name.clone(), tensor.clone())].into() };
        for (name, tensor) in expected {
            assert_eq!(stored[&name], tensor, "{name}");
        }
    }
    let index = std::fs::read_to_string(folder.join("model.safetensors.index.json")).unwrap();
    assert!(index.contains("model.text_embeddings.scales"));
    let cost = measure(&float, &quantised, &["Good morning."]).unwrap();
    assert_eq!(cost.codebooks.len(), 3);
    assert!(cost.codebooks.iter().all(|c| c.draws > 10 && c.mean_kl > 0.0 && c.mean_kl < 0.01), "{cost:?}");
    let same = measure(&float, &float, &["Good morning."]).unwrap();
    assert!(same.codebooks.iter().all(|c| c.largest_kl == 0.0 && c.flips == 0));
    assert_eq!(same.first_divergences, [None]);
    // Four bits cost more. An empty folder that is there already is filled.
    let folder = out.path().join("q4");
    std::fs::create_dir(&folder).unwrap();
    quantize(&float, &folder, &spec(4, 64, &[]), &|| false).unwrap();
    let four = measure(&float, &Checkpoint::open(&folder).unwrap(), &["Good morning."]).unwrap();
    assert!(four.codebooks[0].mean_kl > 3.0 * cost.codebooks[0].mean_kl, "{four:?} {cost:?}");
    // The codec is as it was.
    for name in float.tensors.names().filter(|n| n.starts_with("codec_model.")) {
        let (a, b) = (float.tensors.read(name).unwrap(), quantised.tensors.read(name).unwrap());
        assert_eq!(max_difference(bytemuck::cast_slice(&a.bytes), bytemuck::cast_slice(&b.bytes)), 0.0, "{name}");
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_half_is_left() {
    let float = Checkpoint::open(Golden::read("mini").build().path()).unwrap();
    let out = TempDir::new().unwrap();
    std::fs::write(out.path().join("precious"), "x").unwrap();
    let error = quantize(&float, out.path(), &spec(8, 64, &[]), &|| false).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(out.path().join("precious").exists());
    let folder = out.path().join("new");
    let error = quantize(&float, &folder, &spec(8, 64, &[]), &|| true).unwrap_err();
    assert_eq!(error.exit_code(), 130);
    assert!(!folder.exists());
    std::fs::create_dir(&folder).unwrap();
    quantize(&float, &folder, &spec(8, 64, &[]), &|| true).unwrap_err();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "the folder that was there is as it was");
    let untied = Checkpoint::open(Golden::read("untied").build().path()).unwrap();
    let error = quantize(&untied, &folder, &spec(8, 64, &[]), &|| false).unwrap_err();
    assert!(error.to_string().contains("tie_codebooks_embeddings"), "{error}");
}

/// A run that was killed leaves a folder, which the next one names; those of running programs and of other outputs are not named.
#[test]
fn unfinished_folders_are_named() {
    let base = Golden::read("mini").build();
    let out = TempDir::new().unwrap();
    let folder = out.path().join("q8");
    let make = |name: &str| {
        let made = out.path().join(name);
        std::fs::create_dir(&made).unwrap();
        let lock = std::fs::File::create(made.join(".lock")).unwrap();
        (made, lock)
    };
    let (left, _) = make(".q8.killed.part");
    let (_, running) = make(".q8.running.part");
    running.lock().unwrap();
    make(".q4.other.part");
    assert_eq!(unfinished(&folder), std::slice::from_ref(&left));
    let seen = std::cell::Cell::new(false);
    quantize(&Checkpoint::open(base.path()).unwrap(), &folder, &spec(8, 32, &[]), &|| {
        seen.set(unfinished(&folder) == std::slice::from_ref(&left));
        false
    })
    .unwrap();
    assert!(seen.get(), "its own is running");
    assert!(!folder.join(".lock").exists());
}
