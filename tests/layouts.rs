//! Every layout that people have on disk opens unconverted: one small checkpoint, written in each, gives the same weights to the bit
//! and the same tokens; lists of the real files' names and shapes are recognised.

use std::fs;
use std::path::Path;

use csm_studio::checkpoint::{AdapterSpec, Checkpoint, CheckpointSpec};
use csm_studio::data::{ClipSpec, Dtype, Mode, Position, PromptStyle};
use csm_studio::engine::{Engine, FrameRequest};
use csm_studio::mlx::MlxCsm;
use tempfile::TempDir;

use crate::support::golden::Golden;
use crate::support::layout::{
    self, Heads, Stored, Tensors, csm_mlx, kyutai, mlx, quantised, torchtune, write, write_sparse, write_torch,
};
use crate::support::{formula, max_difference, repository};

const HEADS: Heads = Heads { backbone: 16, depth: 12, codec: 8 };
const MIMI: &str = "tokenizer-e351c8d8-checkpoint125.safetensors";

/// The golden `mini`: its folder, opened, and its tensors.
fn mini() -> (TempDir, Checkpoint, Tensors) {
    let folder = Golden::read("mini").build();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let tensors = layout::read(&folder.path().join("model.safetensors"));
    (folder, checkpoint, tensors)
}

/// A folder with config and tokenizer of `base`, and Mimi in Kyutai's naming.
fn original_folder(base: &Path, tensors: &Tensors) -> TempDir {
    let folder = TempDir::new().unwrap();
    for name in ["config.json", "tokenizer.json"] {
        fs::copy(base.join(name), folder.path().join(name)).unwrap();
    }
    write(&folder.path().join(MIMI), &kyutai(tensors, HEADS));
    folder
}

#[track_caller]
fn assert_same_weights(a: &Checkpoint, b: &Checkpoint) {
    let names: Vec<&str> = b.tensors.names().collect();
    assert_eq!(a.tensors.names().collect::<Vec<_>>(), names);
    for name in names {
        let (x, y) = (a.tensors.read(name).unwrap(), b.tensors.read(name).unwrap());
        assert_eq!((x.dtype, x.shape), (y.dtype, y.shape), "{name}");
        assert!(x.bytes == y.bytes, "{name} differs");
    }
}

/// Twelve frames of exact mode.
fn tokens(checkpoint: &Checkpoint) -> (Vec<Vec<u32>>, Vec<f32>) {
    let sampling = checkpoint.suggested_sampling(Mode::Exact, 7);
    let spec = ClipSpec::new("Hello.", 1, sampling);
    let mut engine = MlxCsm::load(checkpoint, Dtype::Float32).unwrap();
    engine
        .prefill(&checkpoint.prompt(&spec).unwrap(), &csm_studio::data::Codes::new(checkpoint.dims().codebooks))
        .unwrap();
    let (mut codes, mut logits) = (Vec::new(), Vec::new());
    for frame in 0..12 {
        let request = FrameRequest { frame, sampling: &sampling, forced: &[], recent: &[], observe: true };
        let output = engine.next_frame(&request).unwrap();
        codes.push(output.codes);
        logits.extend_from_slice(output.logits.unwrap().values());
    }
    (codes, logits)
}

#[test]
fn all_float_layouts_give_the_same_weights_and_tokens() {
    let (base, reference, tensors) = mini();
    let expected = tokens(&reference);
    let mixed = || {
        let mut mixed = torchtune(&tensors, HEADS);
        mixed.retain(|name, _| name.starts_with("backbone."));
        mixed.extend(mlx(&tensors, HEADS).into_iter().filter(|(name, _)| !name.starts_with("model.backbone.")));
        mixed.insert("backbone_causal_mask".into(), Stored::floats(&[1], &[1.0]));
        mixed
    };
    let layouts: [(&str, &str, Tensors); 5] = [
        ("torchtune", "model.safetensors", torchtune(&tensors, HEADS)),
        ("torchtune, torch.save", "ckpt.pt", torchtune(&tensors, HEADS)),
        ("mlx", "model.safetensors", mlx(&tensors, HEADS)),
        ("csm-mlx", "ckpt.safetensors", csm_mlx(&tensors, HEADS)),
        ("mixed", "model.safetensors", mixed()),
    ];
    for (name, file, renamed) in layouts {
        println!("{name}");
        let folder = original_folder(base.path(), &tensors);
        let path = folder.path().join(file);
        if file.ends_with(".pt") {
            write_torch(&path, &renamed);
        } else {
            write(&path, &renamed);
        }
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        assert_same_weights(&checkpoint, &reference);
        assert_eq!(tokens(&checkpoint), expected);
        let by_file = Checkpoint::open(&path).unwrap();
        assert_eq!(by_file.id().unwrap().sha256, checkpoint.id().unwrap().sha256);
    }
}

/// transformers' Mimi without its prefix, as kyutai/mimi has it, and the codec borrowed from the cache.
#[test]
fn a_borrowed_codec_is_named() {
    let (base, reference, tensors) = mini();
    let folder = original_folder(base.path(), &tensors);
    fs::remove_file(folder.path().join(MIMI)).unwrap();
    write(&folder.path().join("model.safetensors"), &mlx(&tensors, HEADS));
    let hub = TempDir::new().unwrap();
    // SAFETY: nextest gives this test its own process.
    unsafe { std::env::set_var("HF_HUB_CACHE", hub.path()) };
    let error = Checkpoint::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains(MIMI) && error.contains("csm download kyutai/"), "{error}");
    let snapshot = hub.path().join("models--kyutai--mimi/snapshots/abc");
    fs::create_dir_all(&snapshot).unwrap();
    let codec = tensors.iter().filter_map(|(n, t)| Some((n.strip_prefix("codec_model.")?.to_owned(), t.clone())));
    write(&snapshot.join("model.safetensors"), &codec.collect());
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_same_weights(&checkpoint, &reference);
    assert!(checkpoint.notes[0].contains("kyutai/mimi"), "{:?}", checkpoint.notes);
}

#[test]
fn the_published_files_are_recognised() {
    let list = |name: &str| fs::read_to_string(repository(&format!("tests/goldens/checkpoints/{name}.tsv"))).unwrap();
    let cases = [
        ("torchtune", "model.safetensors", Vec::new()),
        ("csm-mlx", "ckpt.safetensors", Vec::new()),
        ("mlx", "model.safetensors", Vec::new()),
        ("mlx-4bit-32", "model.safetensors", vec![(4, 32, 144)]),
        ("mlx-4bit-64", "model.safetensors", vec![(4, 64, 144)]),
        ("mlx-8bit-32", "model.safetensors", vec![(8, 32, 144)]),
        ("mlx-8bit-64", "model.safetensors", vec![(8, 64, 144)]),
    ];
    for (name, file, quantisations) in cases {
        println!("{name}");
        let folder = TempDir::new().unwrap();
        fs::copy(repository("assets/voice/tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
        write_sparse(&folder.path().join(MIMI), &list("mimi-kyutai"));
        write_sparse(&folder.path().join(file), &list(name));
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let dims = checkpoint.dims();
        assert_eq!((dims.codebooks, dims.vocab, dims.codec_size, dims.max_positions), (32, 2_051, 2_048, 2_048));
        assert_eq!(checkpoint.config.backbone.head_dim(), 64);
        assert_eq!(checkpoint.tensors.quantisations(), quantisations);
    }
}

#[test]
fn quantised_weights_are_what_mlx_makes_of_them() {
    let (base, _, tensors) = mini();
    let dense = mlx(&tensors, HEADS);
    for (bits, group) in [(8, 64), (8, 32), (6, 32), (4, 32), (4, 64), (3, 64), (2, 32)] {
        let folder = original_folder(base.path(), &tensors);
        let packed = quantised(&dense, bits, group);
        write(&folder.path().join("model.safetensors"), &packed);
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        assert_eq!(checkpoint.tensors.quantisations().len(), 1);
        // Equal numbers written out, for comparison: MLX's own dequantisation, in the layout's row order.
        let unpacked = original_folder(base.path(), &tensors);
        write(&unpacked.path().join("model.safetensors"), &dequantised(&packed, &dense, bits, group));
        let reference = Checkpoint::open(unpacked.path()).unwrap();
        for name in reference.tensors.names() {
            let (x, y) = (checkpoint.tensors.read(name).unwrap(), reference.tensors.read(name).unwrap());
            let difference = max_difference(bytemuck::cast_slice(&x.bytes), bytemuck::cast_slice(&y.bytes));
            assert!(difference <= 1e-6, "{name}, {bits} bits: {difference:e}");
        }
        let ((codes, logits), (dense_codes, dense_logits)) = (tokens(&checkpoint), tokens(&reference));
        assert_eq!(codes, dense_codes, "{bits} bits, groups of {group}");
        assert!(max_difference(&logits, &dense_logits) < 1e-4);
    }
}

fn dequantised(packed: &Tensors, dense: &Tensors, bits: i32, group: i32) -> Tensors {
    let mut all = Tensors::new();
    for (name, tensor) in dense {
        let module = name.strip_suffix(".weight").unwrap_or(name);
        let Some(scales) = packed.get(&format!("{module}.scales")) else {
            all.insert(name.clone(), tensor.clone());
            continue;
        };
        let (words, biases) = (&packed[name], &packed[&format!("{module}.biases")]);
        let shape = |t: &Stored| t.shape.iter().map(|n| *n as i32).collect::<Vec<_>>();
        let integers: Vec<u32> =
            words.bytes.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect();
        let array = mlx_rs::ops::dequantize(
            mlx_rs::Array::from_slice(&integers, &shape(words)),
            mlx_rs::Array::from_slice(&scales.values(), &shape(scales)),
            &mlx_rs::Array::from_slice(&biases.values(), &shape(biases)),
            group,
            bits,
        );
        let array = array.unwrap();
        mlx_rs::transforms::eval([&array]).unwrap();
        all.insert(name.clone(), Stored::floats(&tensor.shape, array.as_slice::<f32>()));
    }
    all
}

/// `w += scale b a` by plain loops.
fn merged(tensor: &Stored, scale: f32, b: &[f32], a: &[f32]) -> Stored {
    let (out, inputs) = (tensor.shape[0], tensor.shape[1]);
    let r = b.len() / out;
    let mut w = tensor.values();
    for o in 0..out {
        for i in 0..inputs {
            w[o * inputs + i] += scale * (0..r).map(|k| b[o * r + k] * a[k * inputs + i]).sum::<f32>();
        }
    }
    Stored::floats(&tensor.shape, &w)
}

fn transposed(values: &[f32], rows: usize) -> Vec<f32> {
    let columns = values.len() / rows;
    (0..columns).flat_map(|c| (0..rows).map(move |r| values[r * columns + c])).collect()
}

#[track_caller]
fn assert_close(checkpoint: &Checkpoint, expected: &Tensors) {
    for name in checkpoint.tensors.names() {
        let x = checkpoint.tensors.read(name).unwrap();
        let difference = max_difference(bytemuck::cast_slice(&x.bytes), &expected[name].values());
        assert!(difference < 1e-6, "{name}: {difference:e}");
    }
}

const Q: &str = "backbone_model.layers.1.self_attn.q_proj";
const DOWN: &str = "depth_decoder.model.layers.0.mlp.down_proj";

/// Factors of rank 4 for the two modules: name, B (out, 4), A (4, in).
fn factors(tensors: &Tensors) -> Vec<(&'static str, Vec<f32>, Vec<f32>)> {
    let factor = |module: &str, part: &str, count| formula::values(&format!("{module}.{part}"), 3, count, 0.0, 0.25);
    let of = |module: &'static str| {
        let shape = &tensors[&format!("{module}.weight")].shape;
        (module, factor(module, "b", 4 * shape[0]), factor(module, "a", 4 * shape[1]))
    };
    [Q, DOWN].map(of).to_vec()
}

fn adapter(files: &[(&str, &Tensors)], config: &serde_json::Value) -> TempDir {
    let folder = TempDir::new().unwrap();
    files.iter().for_each(|(name, tensors)| write(&folder.path().join(name), tensors));
    fs::write(folder.path().join("adapter_config.json"), config.to_string()).unwrap();
    folder
}

fn with_adapter(base: &Path, adapter: &Path, strength: f32) -> Result<Checkpoint, String> {
    let adapter = AdapterSpec { folder: adapter.to_owned(), strength };
    Checkpoint::resolve(&CheckpointSpec {
        path: Some(base.to_owned()),
        adapter: Some(adapter),
        ..CheckpointSpec::default()
    })
    .map_err(|e| e.to_string())
}

#[test]
fn pefts_adapters_are_merged() {
    let (base, _, tensors) = mini();
    let mut weights = Tensors::new();
    for (module, b, a) in factors(&tensors) {
        let shape = &tensors[&format!("{module}.weight")].shape;
        let name = |part: &str| format!("base_model.model.{module}.lora_{part}.weight");
        weights.insert(name("A"), Stored::floats(&[4, shape[1]], &a));
        weights.insert(name("B"), Stored::floats(&[shape[0], 4], &b));
    }
    let expect = |scales: [f32; 2]| {
        let mut expected = tensors.clone();
        for ((module, b, a), scale) in factors(&tensors).into_iter().zip(scales) {
            let name = format!("{module}.weight");
            expected.insert(name.clone(), merged(&tensors[&name], scale, &b, &a));
        }
        expected
    };
    let plain = serde_json::json!({"r": 4, "lora_alpha": 8, "base_model_name_or_path": base.path()});
    let folder = adapter(&[("adapter_model.safetensors", &weights)], &plain);
    assert_close(&with_adapter(base.path(), folder.path(), 1.0).unwrap(), &expect([2.0, 2.0]));
    assert_close(&with_adapter(base.path(), folder.path(), 0.25).unwrap(), &expect([0.5, 0.5]));
    // The adapter names its base.
    let named = Checkpoint::open(folder.path()).unwrap();
    assert_close(&named, &expect([2.0, 2.0]));
    assert_ne!(named.id().unwrap().sha256, with_adapter(base.path(), folder.path(), 0.5).unwrap().id().unwrap().sha256);
    let rs = serde_json::json!({"r": 4, "lora_alpha": 8, "use_rslora": true, "alpha_pattern": {"mlp.down_proj": 2}});
    let folder = adapter(&[("adapter_model.safetensors", &weights)], &rs);
    assert_close(&with_adapter(base.path(), folder.path(), 1.0).unwrap(), &expect([4.0, 1.0]));
    // This adapter on the checkpoint in MLX's layout, whose rows are in another order.
    let original = original_folder(base.path(), &tensors);
    write(&original.path().join("model.safetensors"), &mlx(&tensors, HEADS));
    assert_close(&with_adapter(original.path(), folder.path(), 1.0).unwrap(), &expect([4.0, 1.0]));
    // A target that does not fit is named.
    let name = format!("base_model.model.{Q}.lora_A.weight");
    weights.insert(name, Stored::floats(&[4, 8], &[0.0; 32]));
    let folder = adapter(&[("adapter_model.safetensors", &weights)], &plain);
    let error = with_adapter(base.path(), folder.path(), 1.0).err().unwrap();
    assert!(error.contains(Q) && error.contains("[4, 8]"), "{error}");
}

#[test]
fn csm_mlxs_and_csm_streamings_adapters_are_merged() {
    let (base, _, tensors) = mini();
    let mut expected = tensors.clone();
    let (mut mlx_weights, mut streaming) = (Tensors::new(), torchtune(&tensors, HEADS));
    for (module, b, a) in factors(&tensors) {
        let name = format!("{module}.weight");
        let shape = tensors[&name].shape.clone();
        // Trained on rows in pairs.
        let head = if module == Q { HEADS.backbone } else { 0 };
        let order = if head > 0 { layout::paired_rows(shape[0], head) } else { (0..shape[0]).collect() };
        let paired: Vec<f32> = order.iter().flat_map(|row| b[row * 4..row * 4 + 4].to_vec()).collect();
        let module_name = module.replace("backbone_model", "backbone").replace("depth_decoder.model", "decoder");
        mlx_weights.insert(format!("{module_name}.lora_a"), Stored::floats(&[shape[1], 4], &transposed(&a, 4)));
        mlx_weights
            .insert(format!("{module_name}.lora_b"), Stored::floats(&[4, shape[0]], &transposed(&paired, shape[0])));
        let original = module_name.replace("self_attn", "attn").replace("down_proj", "w2");
        streaming.insert(format!("{original}.lora_A"), Stored::floats(&[4, shape[1]], &a));
        streaming.insert(format!("{original}.lora_B"), Stored::floats(&[shape[0], 4], &paired));
        streaming.insert(format!("{original}.bias"), Stored::floats(&[shape[0]], &vec![0.5; shape[0]]));
        expected.insert(name.clone(), merged(&tensors[&name], 1.0, &b, &a));
    }
    streaming.insert("bridge.weight".into(), Stored::floats(&[2], &[1.0, 2.0]));
    let config = serde_json::json!({"fine_tune_type": "lora", "lora_parameters": {"rank": 4, "scale": 1.0}});
    let folder =
        adapter(&[("adapters.safetensors", &mlx_weights), ("optimizer_state.safetensors", &mlx_weights)], &config);
    assert_close(&with_adapter(base.path(), folder.path(), 1.0).unwrap(), &expected);
    let error = Checkpoint::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("names no base"), "{error}");
    // csm-streaming's epoch: adapter inside the weights, config a folder up.
    let training = original_folder(base.path(), &tensors);
    let epoch = training.path().join("checkpoint-epoch-3");
    fs::create_dir(&epoch).unwrap();
    for name in [MIMI, "tokenizer.json"] {
        fs::rename(training.path().join(name), epoch.join(name)).unwrap();
    }
    write(&epoch.join("model.safetensors"), &streaming);
    assert_close(&Checkpoint::open(&epoch).unwrap(), &expected);
}

/// DoRA: after the low-rank change, rows have the norms that were trained.
#[test]
fn dora_scales_rows() {
    let (base, _, tensors) = mini();
    let (_, b, a) = factors(&tensors).remove(1);
    let name = format!("{DOWN}.weight");
    let shape = tensors[&name].shape.clone();
    let norms: Vec<f32> = (0..shape[0]).map(|n| 1.0 + n as f32 / 8.0).collect();
    let weights = Tensors::from([
        (format!("base_model.model.{DOWN}.lora_A.weight"), Stored::floats(&[4, shape[1]], &a)),
        (format!("base_model.model.{DOWN}.lora_B.weight"), Stored::floats(&[shape[0], 4], &b)),
        (format!("base_model.model.{DOWN}.lora_magnitude_vector"), Stored::floats(&[shape[0]], &norms)),
    ]);
    let config = serde_json::json!({"r": 4, "lora_alpha": 4, "use_dora": true});
    let folder = adapter(&[("adapter_model.safetensors", &weights)], &config);
    let checkpoint = with_adapter(base.path(), folder.path(), 1.0).unwrap();
    let mut w = merged(&tensors[&name], 1.0, &b, &a).values();
    for (row, norm) in w.chunks_exact_mut(shape[1]).zip(&norms) {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter_mut().for_each(|x| *x *= norm / length);
    }
    let data = checkpoint.tensors.read(&format!("{DOWN}.weight")).unwrap();
    assert!(max_difference(bytemuck::cast_slice(&data.bytes), &w) < 1e-5);
}

/// Llama's own tokenizer adds no end mark; the original layouts complete it, from the marks of tokenizer_config.json.
#[test]
fn a_tokenizer_without_end_mark_is_completed_for_the_original_layouts_only() {
    let (base, reference, tensors) = mini();
    let strip = |folder: &Path| {
        let path = folder.join("tokenizer.json");
        let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        json["post_processor"] = serde_json::Value::Null;
        fs::write(&path, json.to_string()).unwrap();
    };
    let folder = original_folder(base.path(), &tensors);
    write(&folder.path().join("model.safetensors"), &mlx(&tensors, HEADS));
    strip(folder.path());
    let ids = reference.text_ids(0, "Hi").unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.text_ids(0, "Hi").unwrap(), ids);
    assert!(checkpoint.notes.iter().any(|n| n.contains("completed")), "{:?}", checkpoint.notes);
    let marks = serde_json::json!({"bos_token": {"content": "<s>"}, "eos_token": "<|end_of_text|>"});
    fs::write(folder.path().join("tokenizer_config.json"), marks.to_string()).unwrap();
    let error = Checkpoint::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("<s>"), "{error}");
    strip(base.path());
    assert!(Checkpoint::open(base.path()).err().unwrap().to_string().contains("begin"));
}

/// mlx-audio's voice match, by its rule: one segment of both texts, the turn's frames, no end frame; and its `[0] text`.
#[test]
fn prompts_are_those_of_the_reference() {
    let (base, reference, tensors) = mini();
    let frames = csm_studio::data::Codes::from_frames([[1, 2, 3], [4, 5, 6]]).unwrap();
    let turn = csm_studio::data::Turn { speaker: 0, text: "How are you?".into(), frames };
    let sampling = reference.suggested_sampling(Mode::Exact, 1);
    let spec = ClipSpec { context: vec![turn], ..ClipSpec::new("Fine.", 1, sampling) };
    let text = |ids: Vec<u32>| ids.into_iter().map(Position::Text).collect::<Vec<_>>();
    let audio = |frames: &[[u32; 3]]| frames.iter().map(|f| Position::Audio(f.to_vec())).collect::<Vec<_>>();
    let segments = [
        text(reference.text_ids(0, "How are you?").unwrap()),
        audio(&[[1, 2, 3], [4, 5, 6], [0, 0, 0]]),
        text(reference.text_ids(1, "Fine.").unwrap()),
    ];
    assert_eq!(reference.prompt(&spec).unwrap().positions, segments.concat());
    let spec = ClipSpec { prompt_style: PromptStyle::VoiceMatch, ..spec };
    let match_ids = reference.text_ids(1, "How are you? Fine.").unwrap();
    assert_eq!(reference.prompt(&spec).unwrap().positions, [text(match_ids), audio(&[[1, 2, 3], [4, 5, 6]])].concat());
    let alone = ClipSpec { context: Vec::new(), ..spec };
    assert!(reference.prompt(&alone).unwrap_err().to_string().contains("one turn"));
    // A byte each, after the begin mark: "[1] Fine." has a space where "[1]Fine." has none.
    let spaced = original_folder(base.path(), &tensors);
    write(&spaced.path().join("model.safetensors"), &mlx(&tensors, HEADS));
    let path = spaced.path().join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["speaker_prefix_space"] = true.into();
    fs::write(&path, config.to_string()).unwrap();
    let spaced = Checkpoint::open(spaced.path()).unwrap();
    assert_eq!(spaced.text_ids(1, "Fine.").unwrap(), reference.text_ids(1, " Fine.").unwrap());
}

/// Ten models one after another take no more memory than one.
#[test]
#[cfg(target_os = "linux")]
fn a_model_that_is_dropped_gives_its_memory_back() {
    let resident = || {
        let statm = fs::read_to_string("/proc/self/statm").unwrap();
        4_096 * statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap()
    };
    let load = || {
        let checkpoint = Checkpoint::demo().unwrap();
        MlxCsm::load(&checkpoint, Dtype::Float32).unwrap();
    };
    load();
    load();
    let before = resident();
    (0..10).for_each(|_| load());
    let after = resident();
    assert!(after < before + (20 << 20), "{} MB, then {} MB", before >> 20, after >> 20);
}

/// Marvis' and MisoTTS' sizes follow from torchtune's flavours or by the shapes.
#[test]
fn other_sizes_are_told_by_flavours_and_shapes() {
    let list = fs::read_to_string(repository("tests/goldens/checkpoints/csm-mlx.tsv")).unwrap();
    let mimi = fs::read_to_string(repository("tests/goldens/checkpoints/mimi-kyutai.tsv")).unwrap();
    // layers, width, kv rows, feed-forward of backbone and depth decoder
    let marvis = ([6, 1_536, 384, 8_192], [4, 1_024, 256, 4_096]);
    let miso = ([32, 4_096, 1_024, 14_336], [8, 1_536, 384, 6_912]);
    for (name, sizes, flavours) in
        [("Marvis", marvis, ["llama-250M", "llama-60M"]), ("MisoTTS", miso, ["llama-8B", "llama-300M"])]
    {
        let folder = TempDir::new().unwrap();
        fs::copy(repository("assets/voice/tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
        write_sparse(&folder.path().join(MIMI), &mimi);
        write_sparse(&folder.path().join("model.safetensors"), &resized(&list, sizes.0, sizes.1));
        let by_shapes = Checkpoint::open(folder.path()).unwrap();
        let five = serde_json::json!({
            "backbone_flavor": flavours[0], "decoder_flavor": flavours[1], "text_vocab_size": 128_256, "audio_vocab_size": 2_051,
            "audio_num_codebooks": 32,
        });
        fs::write(folder.path().join("config.json"), five.to_string()).unwrap();
        let by_flavours = Checkpoint::open(folder.path()).unwrap();
        assert_eq!(by_shapes.config, by_flavours.config, "{name}");
        let backbone = &by_shapes.config.backbone;
        assert_eq!([backbone.num_hidden_layers, backbone.hidden_size], sizes.0[..2], "{name}");
        // A model that does not fit is reported before it is loaded, and loaded if the user insists.
        let (_, needed) = by_shapes.tensors.size("", Dtype::Float32);
        let free = csm_studio::machine::memory().unwrap().available;
        let fits = by_shapes.check_memory(Dtype::Float32, false);
        if needed as u64 > free + (2 << 30) {
            let error = fits.unwrap_err().to_string();
            assert!(error.contains("too little memory") && error.contains("load it anyway"), "{error}");
        }
        let path = Some(folder.path().to_owned());
        let anyway = CheckpointSpec { path, load_anyway: true, ..CheckpointSpec::default() };
        Checkpoint::resolve(&anyway).unwrap().check_memory(Dtype::Float32, false).unwrap();
    }
}

/// The list of tensors with other layers, widths, rows of keys and values, and feed-forward sizes.
fn resized(list: &str, backbone: [usize; 4], depth: [usize; 4]) -> String {
    let mut lines = Vec::new();
    for line in list.lines().filter(|l| !l.contains(".layers.") || l.contains(".layers.0.")) {
        let [name, dtype, shape] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let [layers, width, kv, ffn] = if name.starts_with("decoder.") { depth } else { backbone };
        let old = if name.starts_with("decoder.") { [1_024, 256] } else { [2_048, 512] };
        let sizes: Vec<usize> = shape.split('x').map(|n| n.parse().unwrap()).collect();
        let new = |n: usize| match n {
            8_192 => ffn,
            n if n == old[0] => width,
            n if n == old[1] && name.contains("_proj") => kv,
            n => n,
        };
        let sizes = match name {
            "projection.weight" => vec![depth[1], backbone[1]],
            "audio_head" => vec![31, depth[1], 2_051],
            _ => sizes.into_iter().map(new).collect(),
        };
        let shape = sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join("x");
        let copies = if name.contains(".layers.0.") { layers } else { 1 };
        lines.extend(
            (0..copies).map(|n| format!("{}\t{dtype}\t{shape}", name.replace(".layers.0.", &format!(".layers.{n}.")))),
        );
    }
    lines.join("\n")
}

/// A field of a config that another field must respect.
#[test]
fn limits_of_a_config_fit_each_other() {
    let (folder, ..) = mini();
    let path = folder.path().join("config.json");
    let config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let codebooks = config["num_codebooks"].as_u64().unwrap();
    for positions in 2..codebooks {
        let mut wrong = config.clone();
        wrong["depth_decoder_config"]["max_position_embeddings"] = positions.into();
        fs::write(&path, wrong.to_string()).unwrap();
        let error = Checkpoint::open(folder.path()).err().unwrap();
        assert!(error.to_string().contains("max_position_embeddings") && error.exit_code() == 2, "{error}");
    }
    for named in [serde_json::json!(5), serde_json::json!([])] {
        let mut wrong = config.clone();
        wrong["transformers_weights"] = named;
        fs::write(&path, wrong.to_string()).unwrap();
        let error = Checkpoint::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("transformers_weights"), "{error}");
    }
}

/// Files with bytes changed at random: an error or a checkpoint, never a panic, and in bounded time.
#[test]
fn damaged_files_are_errors() {
    let (base, _, tensors) = mini();
    let folder = original_folder(base.path(), &tensors);
    write_torch(&folder.path().join("ckpt.pt"), &torchtune(&tensors, HEADS));
    let mut seed = 1u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut refused = 0;
    for name in ["config.json", "tokenizer.json", MIMI, "ckpt.pt"] {
        let path = folder.path().join(name);
        let whole = fs::read(&path).unwrap();
        // The zip's directory is at its end, other headers at the beginning.
        let changeable = whole.len().min(6_000);
        for round in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..=random(3) {
                let at = random(changeable);
                let at = if name == "ckpt.pt" && round % 2 == 0 { whole.len() - 1 - at } else { at };
                bytes[at] = [random(256) as u8, b'9', b'0', b'-', b'"'][random(5)];
            }
            fs::write(&path, bytes).unwrap();
            match Checkpoint::open(folder.path()) {
                Ok(checkpoint) => drop(checkpoint.text_ids(0, "Hello there.")),
                Err(e) => {
                    refused += 1;
                    assert_eq!(e.exit_code(), 2, "{e}");
                }
            }
        }
        fs::write(&path, &whole).unwrap();
    }
    assert!(refused > 200, "{refused}");
}

#[test]
fn the_doctor_says_what_a_checkpoint_is_and_what_is_wrong() {
    let (base, _, tensors) = mini();
    let look = |folder: &Path| {
        let spec = CheckpointSpec { path: Some(folder.to_owned()), ..CheckpointSpec::default() };
        csm_studio::checkpoint::doctor::examine(&spec).unwrap()
    };
    let folder = original_folder(base.path(), &tensors);
    let weights = folder.path().join("model.safetensors");
    let packed = quantised(&mlx(&tensors, HEADS), 8, 32);
    write(&weights, &packed);
    let well = look(folder.path());
    assert!(well.usable && well.problems.is_empty(), "{:?}", well.problems);
    assert_eq!(well.formats, ["Kyutai's Mimi", "MLX"]);
    assert!(well.rope_rows.unwrap().starts_with("pairs"));
    assert_eq!((well.quantisation[0].bits, well.quantisation[0].group), (8, 32));
    let backbone = well.backbone.unwrap();
    assert_eq!((backbone.layers, backbone.width, backbone.heads, backbone.kv_heads), (2, 64, 4, 2));
    assert!(well.memory[0].total() > well.memory[2].total());
    // Every tensor that is missing or surplus, not the first eight.
    let mut wrong = packed;
    wrong.retain(|name, _| !name.contains("backbone.layers.1."));
    wrong.insert("model.something.weight".into(), Stored::floats(&[1], &[0.0]));
    write(&weights, &wrong);
    let ill = look(folder.path());
    assert!(!ill.usable);
    assert_eq!(ill.problems.iter().filter(|p| p.contains("missing")).count(), 9, "{:?}", ill.problems);
    assert_eq!(ill.problems.iter().filter(|p| p.contains("surplus")).count(), 1);
    // Files that are not what their names say.
    let whole = fs::read(base.path().join("model.safetensors")).unwrap();
    for (content, word) in [
        (&b"version https://git-lfs.github.com/spec/v1\n"[..], "Git LFS pointer"),
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "web page"),
        (b"GGUF\x03\x00\x00\x00", "GGUF"),
        (b"Entry not found", "error message"),
        (b"\x80\x02}q\x00.", "pickle"),
        (&[0; 600], "zeros"),
        (&whole[..whole.len() / 2], "not complete"),
    ] {
        fs::write(&weights, content).unwrap();
        let ill = look(folder.path());
        assert!(!ill.usable && ill.problems.len() == 1 && ill.problems[0].contains(word), "{word}: {:?}", ill.problems);
    }
    fs::remove_file(&weights).unwrap();
    std::os::unix::fs::symlink("nowhere", &weights).unwrap();
    assert!(look(folder.path()).problems[0].contains("leads nowhere"));
}

/// A tensor without dimensions has no sizes to tell.
#[test]
fn a_scalar_where_a_matrix_belongs_is_an_error() {
    let (base, _, tensors) = mini();
    let folder = original_folder(base.path(), &tensors);
    fs::remove_file(folder.path().join("config.json")).unwrap();
    for name in [
        "codebook0_head.weight",
        "backbone.norm.weight",
        "backbone.layers.0.mlp.gate_proj.weight",
        "text_embeddings.weight",
    ] {
        let mut wrong = csm_mlx(&tensors, HEADS);
        wrong.insert(name.into(), Stored::floats(&[], &[1.0]));
        write(&folder.path().join("model.safetensors"), &wrong);
        assert_eq!(Checkpoint::open(folder.path()).err().unwrap().exit_code(), 2, "{name}");
    }
}
