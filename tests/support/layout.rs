//! Writes one small checkpoint in every layout that people have, by the rules of the projects that made them and not by the
//! program's own tables.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// A tensor: shape, type, bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub shape: Vec<usize>,
    pub dtype: Dtype,
    pub bytes: Vec<u8>,
}

pub type Tensors = BTreeMap<String, Stored>;

impl Stored {
    pub fn floats(shape: &[usize], values: &[f32]) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len());
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { shape: shape.to_vec(), dtype: Dtype::F32, bytes }
    }

    pub fn words(shape: &[usize], values: &[u32]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { shape: shape.to_vec(), dtype: Dtype::U32, bytes }
    }

    pub fn values(&self) -> Vec<f32> {
        assert_eq!(self.dtype, Dtype::F32);
        self.bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    /// Its rows in this order.
    fn with_rows(&self, order: &[usize]) -> Self {
        let row = self.bytes.len() / self.shape[0];
        let bytes = order.iter().flat_map(|r| self.bytes[r * row..(r + 1) * row].to_vec()).collect();
        Self { bytes, ..self.clone() }
    }
}

pub fn read(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |(name, view): (String, TensorView<'_>)| {
        (name, Stored { shape: view.shape().to_vec(), dtype: view.dtype(), bytes: view.data().to_vec() })
    };
    file.tensors().into_iter().map(tensor).collect()
}

pub fn write(path: &Path, tensors: &Tensors) {
    let views: Vec<_> =
        tensors.iter().map(|(name, t)| (name, TensorView::new(t.dtype, t.shape.clone(), &t.bytes).unwrap())).collect();
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Rows of heads of width `head` in the order of the original code: there, the rows 2i and 2i + 1 are turned together, here the
/// rows i and i + head/2.
pub fn paired_rows(rows: usize, head: usize) -> Vec<usize> {
    let mut order = Vec::new();
    for first in (0..rows).step_by(head) {
        for i in 0..head / 2 {
            order.extend([first + i, first + head / 2 + i]);
        }
    }
    order
}

/// Widths of a head: backbone, depth decoder, codec.
#[derive(Clone, Copy)]
pub struct Heads {
    pub backbone: usize,
    pub depth: usize,
    pub codec: usize,
}

/// The language model in MLX's names, with `model.` before them.
pub fn mlx(model: &Tensors, heads: Heads) -> Tensors {
    let mut renamed = Tensors::new();
    for (name, tensor) in model.iter().filter(|(name, _)| !name.starts_with("codec_model.")) {
        let (new, head) = match name.as_str() {
            "embed_text_tokens.weight" => ("text_embeddings.weight".into(), 0),
            "depth_decoder.model.embed_tokens.weight" => ("audio_embeddings.weight".into(), 0),
            "depth_decoder.model.inputs_embeds_projector.weight" => ("projection.weight".into(), 0),
            "lm_head.weight" => ("codebook0_head.weight".into(), 0),
            "depth_decoder.codebooks_head.weight" => ("audio_head".into(), 0),
            name if name.starts_with("backbone_model.") => {
                (name.replace("backbone_model.", "backbone."), heads.backbone)
            }
            name => (name.replace("depth_decoder.model.", "decoder."), heads.depth),
        };
        let turned = new.ends_with("q_proj.weight") || new.ends_with("k_proj.weight");
        let tensor = if turned { tensor.with_rows(&paired_rows(tensor.shape[0], head)) } else { tensor.clone() };
        renamed.insert(format!("model.{new}"), tensor);
    }
    renamed
}

/// csm-mlx's names: the same without the prefix.
pub fn csm_mlx(model: &Tensors, heads: Heads) -> Tensors {
    mlx(model, heads).into_iter().map(|(name, t)| (name.strip_prefix("model.").unwrap().to_owned(), t)).collect()
}

/// The original names.
pub fn torchtune(model: &Tensors, heads: Heads) -> Tensors {
    let rename = |name: String| {
        let name = name.replace("self_attn.o_proj", "attn.output_proj").replace("self_attn", "attn");
        let name = name.replace("gate_proj", "w1").replace("down_proj", "w2").replace("up_proj", "w3");
        let name = name.replace("input_layernorm.weight", "sa_norm.scale");
        name.replace("post_attention_layernorm.weight", "mlp_norm.scale").replace(".norm.weight", ".norm.scale")
    };
    csm_mlx(model, heads).into_iter().map(|(name, t)| (rename(name), t)).collect()
}

/// Mimi in Kyutai's names.
pub fn kyutai(model: &Tensors, heads: Heads) -> Tensors {
    let codec = model.iter().filter_map(|(name, t)| Some((name.strip_prefix("codec_model.")?, t)));
    let mut renamed = Tensors::new();
    for (name, tensor) in codec {
        let parts: Vec<&str> = name.split('.').collect();
        let new = match parts.as_slice() {
            [side @ ("encoder" | "decoder"), "layers", n, "conv", part] => {
                let transposed = *side == "decoder" && ["2", "5", "8", "11"].contains(n);
                let kind = if transposed { "convtr.convtr" } else { "conv.conv" };
                format!("{side}.model.{n}.{kind}.{part}")
            }
            [side @ ("encoder" | "decoder"), "layers", n, "block", m, "conv", part] => {
                format!("{side}.model.{n}.block.{m}.conv.conv.{part}")
            }
            ["downsample", ..] => "downsample.conv.conv.conv.weight".into(),
            ["upsample", ..] => "upsample.convtr.convtr.convtr.weight".into(),
            [side, "layers", n, rest @ ..] if side.ends_with("_transformer") => {
                let part = match rest.join(".").as_str() {
                    "self_attn.q_proj.weight" | "self_attn.k_proj.weight" | "self_attn.v_proj.weight" => {
                        // Its place; `stack_attention` puts the three together.
                        let name = format!("{side}.transformer.layers.{n}.self_attn.in_proj_weight");
                        renamed.insert(name, tensor.clone());
                        continue;
                    }
                    "self_attn.o_proj.weight" => "self_attn.out_proj.weight".to_owned(),
                    other => other
                        .replace("mlp.fc", "linear")
                        .replace("input_layernorm", "norm1")
                        .replace("post_attention_layernorm", "norm2")
                        .replace("self_attn_layer_scale", "layer_scale_1")
                        .replace("mlp_layer_scale", "layer_scale_2"),
                };
                format!("{side}.transformer.layers.{n}.{part}")
            }
            ["quantizer", kind, rest @ ..] => {
                let kind = if kind.starts_with("semantic") { "rvq_first" } else { "rvq_rest" };
                let rest = rest.join(".");
                let rest = rest.replace("codebook.embed_sum", "_codebook.embedding_sum");
                let rest = rest.replace("codebook.cluster_usage", "_codebook.cluster_usage");
                let rest = rest.replace("codebook.initialized", "_codebook._initialized");
                let prefix = if rest.starts_with("layers") { "vq." } else { "" };
                format!("quantizer.{kind}.{prefix}{rest}")
            }
            other => panic!("{other:?}"),
        };
        renamed.insert(new, tensor.clone());
    }
    stack_attention(model, heads, &mut renamed);
    renamed
}

fn stack_attention(model: &Tensors, heads: Heads, renamed: &mut Tensors) {
    let names: Vec<String> = renamed.keys().filter(|n| n.ends_with("in_proj_weight")).cloned().collect();
    for name in names {
        let attention = name.replace(".transformer.layers", ".layers").replace("in_proj_weight", "");
        let part = |part: &str| &model[&format!("codec_model.{attention}{part}_proj.weight")];
        let (q, k, v) = (part("q"), part("k"), part("v"));
        let turn = |t: &Stored| t.with_rows(&paired_rows(t.shape[0], heads.codec));
        let bytes = [turn(q).bytes, turn(k).bytes, v.bytes.clone()].concat();
        let shape = vec![q.shape[0] + k.shape[0] + v.shape[0], q.shape[1]];
        renamed.insert(name, Stored { shape, dtype: q.dtype, bytes });
    }
}

/// MLX's affine quantisation of all that has scales there: linear layers and embeddings whose input is a multiple of the group.
pub fn quantised(model: &Tensors, bits: i32, group: i32) -> Tensors {
    let mut all = Tensors::new();
    for (name, tensor) in model {
        let module = name.strip_suffix(".weight").filter(|_| tensor.shape.len() == 2 && !name.contains("norm"));
        let fits = tensor.shape.last().is_some_and(|inputs| inputs.is_multiple_of(group as usize));
        let Some(module) = module.filter(|_| fits) else {
            all.insert(name.clone(), tensor.clone());
            continue;
        };
        let shape: Vec<i32> = tensor.shape.iter().map(|n| *n as i32).collect();
        let dense = mlx_rs::Array::from_slice(&tensor.values(), &shape);
        let (packed, scales, biases) = mlx_rs::ops::quantize(&dense, group, bits).unwrap();
        mlx_rs::transforms::eval([&packed, &scales, &biases]).unwrap();
        let shape_of = |a: &mlx_rs::Array| a.shape().iter().map(|n| *n as usize).collect::<Vec<_>>();
        all.insert(name.clone(), Stored::words(&shape_of(&packed), packed.as_slice::<u32>()));
        all.insert(format!("{module}.scales"), Stored::floats(&shape_of(&scales), scales.as_slice::<f32>()));
        all.insert(format!("{module}.biases"), Stored::floats(&shape_of(&biases), biases.as_slice::<f32>()));
    }
    all
}

/// `torch.save` of a state_dict: an uncompressed zip with a protocol 2 pickle and one entry a storage.
pub fn write_torch(path: &Path, tensors: &Tensors) {
    let text = |out: &mut Vec<u8>, s: &str| {
        out.push(b'X');
        out.extend((s.len() as u32).to_le_bytes());
        out.extend(s.as_bytes());
    };
    let int = |out: &mut Vec<u8>, n: usize| {
        out.push(b'J');
        out.extend((n as u32).to_le_bytes());
    };
    let mut pickle = b"\x80\x02}(".to_vec();
    for (n, (name, t)) in tensors.iter().enumerate() {
        text(&mut pickle, name);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut pickle, "storage");
        pickle.extend(b"ctorch\nFloatStorage\n");
        text(&mut pickle, &n.to_string());
        text(&mut pickle, "cpu");
        int(&mut pickle, t.bytes.len() / 4);
        pickle.extend(b"tQK\x00(");
        t.shape.iter().for_each(|n| int(&mut pickle, *n));
        pickle.extend(b"t(");
        (0..t.shape.len()).for_each(|d| int(&mut pickle, t.shape[d + 1..].iter().product()));
        pickle.extend(b"t\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.extend(b"u.");
    let mut archive = zip::ZipWriter::new(fs::File::create(path).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut entry = |name: String, bytes: &[u8]| {
        archive.start_file(name, options).unwrap();
        archive.write_all(bytes).unwrap();
    };
    entry("ckpt/data.pkl".into(), &pickle);
    for (n, t) in tensors.values().enumerate() {
        entry(format!("ckpt/data/{n}"), &t.bytes);
    }
    archive.finish().unwrap();
}

/// A safetensors file with these names and shapes (`../goldens/checkpoints/*.tsv`) whose data is a hole of the file system.
pub fn write_sparse(path: &Path, list: &str) {
    let (mut header, mut end) = (serde_json::Map::new(), 0usize);
    for line in list.lines() {
        let [name, dtype, shape] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line:?}") };
        let shape: Vec<usize> = shape.split('x').map(|n| n.parse().unwrap()).collect();
        let size = 4 * shape.iter().product::<usize>();
        let offsets = [end, end + size];
        header.insert(name.into(), serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": offsets}));
        end += size;
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = fs::File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(&header).unwrap();
    file.set_len((8 + header.len() + end) as u64).unwrap();
}
