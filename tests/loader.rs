//! Damaged and contradictory checkpoints: each an error that names file and tensor, never a panic.

use std::fs;
use std::path::Path;

use csm_studio::checkpoint::Checkpoint;
use csm_studio::error::Error;
use csm_studio::mlx::MlxCsm;
use tempfile::TempDir;

use crate::support::golden::{Golden, Wrong};

fn open_error(folder: &Path) -> String {
    match Checkpoint::open(folder) {
        Ok(_) => panic!("the damage went unnoticed"),
        Err(e @ (Error::InvalidFile { .. } | Error::Weights { .. } | Error::Read { .. })) => {
            assert_eq!(e.exit_code(), 2);
            e.to_string()
        }
        Err(e) => panic!("not a file's error: {e}"),
    }
}

fn wrong_config(change: impl Fn(&mut serde_json::Value)) -> String {
    let (folder, _) = Golden::read("mini").build_wrong(&Wrong { config: Some(&change), weights: None });
    open_error(folder.path())
}

#[track_caller]
fn assert_mentions(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

fn mini() -> TempDir {
    Golden::read("mini").build()
}

#[test]
fn a_file_cut_at_any_kilobyte_is_refused() {
    let folder = mini();
    for file in ["model.safetensors", "config.json", "tokenizer.json"] {
        let path = folder.path().join(file);
        let whole = fs::read(&path).unwrap();
        for length in (0..whole.len()).step_by(1_000) {
            fs::write(&path, &whole[..length]).unwrap();
            assert_mentions(&open_error(folder.path()), &[file]);
        }
        fs::write(&path, &whole).unwrap();
    }
    Checkpoint::open(folder.path()).unwrap();
}

#[test]
fn missing_files_are_named() {
    for file in ["model.safetensors", "config.json", "tokenizer.json"] {
        let folder = mini();
        fs::remove_file(folder.path().join(file)).unwrap();
        assert_mentions(&open_error(folder.path()), &[file, "missing"]);
    }
    assert_mentions(&open_error(Path::new("/nowhere/at/all")), &["/nowhere/at/all"]);
    let sharded = Golden::read("untied").build();
    fs::remove_file(sharded.path().join("model-00002-of-00007.safetensors")).unwrap();
    assert_mentions(&open_error(sharded.path()), &["model-00002-of-00007.safetensors", "missing"]);
}

#[test]
fn swapped_files_are_refused() {
    let folder = mini();
    let at = |name: &str| folder.path().join(name);
    fs::copy(at("config.json"), at("tokenizer.json")).unwrap();
    assert_mentions(&open_error(folder.path()), &["tokenizer.json", "tokenizer"]);
    fs::copy(at("config.json"), at("model.safetensors")).unwrap();
    let sharded = Golden::read("untied").build();
    let at = |name: &str| sharded.path().join(name);
    fs::rename(at("model-00001-of-00007.safetensors"), at("x")).unwrap();
    fs::rename(at("model-00002-of-00007.safetensors"), at("model-00001-of-00007.safetensors")).unwrap();
    fs::rename(at("x"), at("model-00002-of-00007.safetensors")).unwrap();
    assert_mentions(&open_error(sharded.path()), &["model.safetensors.index.json", "expected in this shard"]);
}

#[test]
fn another_checkpoints_config_is_refused() {
    let (folder, other) = (mini(), Golden::read("wide").build());
    fs::copy(other.path().join("config.json"), folder.path().join("config.json")).unwrap();
    assert_mentions(&open_error(folder.path()), &["disagree", "expected shape"]);
}

#[test]
fn nan_and_infinity_are_refused_and_named() {
    for bad in [f32::NAN, f32::INFINITY] {
        for golden in ["mini", "bfloat16"] {
            let spoil = |name: &str, _: &[usize], values: &mut Vec<f32>| {
                if name == "backbone_model.layers.1.mlp.up_proj.weight" {
                    values[17] = bad;
                }
            };
            let (folder, _) = Golden::read(golden).build_wrong(&Wrong { config: None, weights: Some(&spoil) });
            // Weights are read when an engine loads them.
            let checkpoint = Checkpoint::open(folder.path()).unwrap();
            let error = MlxCsm::load(&checkpoint, checkpoint.tensors.dtype()).err().expect("it went unnoticed");
            assert_eq!(error.exit_code(), 2);
            assert_mentions(&error.to_string(), &["backbone_model.layers.1.mlp.up_proj.weight", "finite"]);
        }
    }
}

#[test]
fn config_and_weights_that_disagree_name_the_tensor() {
    assert_mentions(
        &wrong_config(|c| c["num_hidden_layers"] = 1.into()),
        &["backbone_model.layers.1.input_layernorm.weight", "surplus"],
    );
    assert_mentions(
        &wrong_config(|c| c["num_hidden_layers"] = 3.into()),
        &["backbone_model.layers.2.input_layernorm.weight", "missing"],
    );
    assert_mentions(
        &wrong_config(|c| c["intermediate_size"] = 100.into()),
        &["mlp.gate_proj.weight", "[100, 64]", "[128, 64]"],
    );
    assert_mentions(
        &wrong_config(|c| c["tie_codebooks_embeddings"] = false.into()),
        &["embed_audio_tokens.weight", "missing"],
    );
}

#[test]
fn contradictions_inside_the_config_name_the_field() {
    assert_mentions(&wrong_config(|c| c["num_codebooks"] = 4.into()), &["num_codebooks", "expected 4", "got 3"]);
    assert_mentions(&wrong_config(|c| c["model_type"] = "llama".into()), &["model_type", "csm"]);
    assert_mentions(&wrong_config(|c| c["num_key_value_heads"] = 3.into()), &["num_key_value_heads", "divisor"]);
    assert_mentions(&wrong_config(|c| c["codec_config"]["use_causal_conv"] = false.into()), &["use_causal_conv"]);
    let gone = |c: &mut serde_json::Value| drop(c.as_object_mut().unwrap().remove("hidden_size"));
    assert_mentions(&wrong_config(gone), &["hidden_size"]);
}

#[test]
fn a_foreign_format_is_recognised_by_its_tensors() {
    let folder = mini();
    let bytes = [0u8; 4];
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &bytes).unwrap();
    safetensors::serialize_to_file(
        [("model.layers.0.mlp.weight", view)],
        None,
        &folder.path().join("model.safetensors"),
    )
    .unwrap();
    assert_mentions(&open_error(folder.path()), &["model.layers.0.mlp.weight", "not those of a CSM"]);
}

/// Older configs have `rope_theta` next to `rope_scaling`.
#[test]
fn older_rope_fields_are_read() {
    let older = |c: &mut serde_json::Value| {
        for part in ["", "/depth_decoder_config", "/codec_config"] {
            let c = c.pointer_mut(part).unwrap().as_object_mut().unwrap();
            let mut rope = c.remove("rope_parameters").unwrap();
            c.insert("rope_theta".into(), rope["rope_theta"].clone());
            rope.as_object_mut().unwrap().remove("rope_theta");
            let plain = rope["rope_type"] == "default";
            c.insert("rope_scaling".into(), if plain { serde_json::Value::Null } else { rope });
        }
    };
    let golden = Golden::read("mini");
    let (folder, _) = golden.build_wrong(&Wrong { config: Some(&older), weights: None });
    let read = Checkpoint::open(folder.path()).unwrap().config;
    let newer = Checkpoint::open(golden.build().path()).unwrap().config;
    assert_eq!(read.backbone.rope, newer.backbone.rope);
    assert_eq!(read.depth_decoder_config.llama.rope, newer.depth_decoder_config.llama.rope);
    assert_eq!(read.codec_config.rope, newer.codec_config.rope);
}
