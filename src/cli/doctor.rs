//! `csm doctor`.

use std::path::PathBuf;

use super::Outcome;
use super::output::print_line;
use crate::checkpoint::doctor::{Examination, StackInfo, examine};
use crate::checkpoint::{AdapterSpec, CheckpointSpec};
use crate::error::{Error, Result};

/// Flags of `csm doctor`.
#[derive(clap::Args, Debug)]
pub struct DoctorArgs {
    /// A checkpoint: a folder, a weight file, an adapter, or the id of a repository in Hugging Face's cache [default: the embedded
    /// demo voice]
    #[arg(value_name = "PATH|ID")]
    path: Option<PathBuf>,
    /// A LoRA adapter for it
    #[arg(long, value_name = "DIR[:STRENGTH]")]
    adapter: Option<AdapterSpec>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// Examines a checkpoint. One that cannot be used is a failed check.
pub(super) fn run(args: &DoctorArgs) -> Result<Outcome> {
    let spec = CheckpointSpec { path: args.path.clone(), adapter: args.adapter.clone(), load_anyway: true };
    let found = examine(&spec)?;
    if args.json {
        let json = serde_json::to_string(&found).map_err(|e| Error::write("(standard output)", e))?;
        print_line(&json)?;
    } else {
        print_line(&text(&found))?;
    }
    Ok(if found.usable { Outcome::Done } else { Outcome::CheckFailed })
}

fn text(found: &Examination) -> String {
    let mut rows: Vec<(&str, String)> =
        vec![("checkpoint", found.name.clone()), ("folder", found.folder.display().to_string())];
    if !found.formats.is_empty() {
        rows.push(("format", found.formats.join(", ")));
    }
    rows.extend(found.rope_rows.map(|rows| ("RoPE turns", rows.to_owned())));
    rows.extend(found.stored_as.clone().map(|dtype| ("stored as", dtype)));
    let quantised = |q: &crate::checkpoint::doctor::Quantised| {
        format!("{} matrices in {} bits, groups of {}", q.matrices, q.bits, q.group)
    };
    rows.extend(found.quantisation.iter().map(|q| ("quantised", quantised(q))));
    rows.extend(found.backbone.as_ref().map(|s| ("backbone", stack(s))));
    rows.extend(found.depth_decoder.as_ref().map(|s| ("depth decoder", stack(s))));
    if let (Some(k), Some(v), Some(text), Some(positions)) =
        (found.codebooks, found.vocab, found.text_vocab, found.positions)
    {
        rows.push(("tokens", format!("{k} codebooks of {v} ids, {text} text ids, {positions} positions")));
    }
    if let (Some(rate), Some(frames)) = (found.sample_rate, found.frame_rate) {
        rows.push(("codec", format!("{rate} Hz, {frames} frames per second")));
    }
    if let Some(p) = &found.parameters {
        let millions = |n: usize| format!("{:.1} M", n as f64 / 1e6);
        rows.push((
            "parameters",
            format!("{} in the language model, {} in the codec", millions(p.language_model), millions(p.codec)),
        ));
    }
    let gigabytes = |bytes: usize| format!("{:.2} GB", bytes as f64 / 1e9);
    for need in &found.memory {
        let parts = format!(
            "{} in {} (weights {}, codec {}, full context {})",
            gigabytes(need.total()),
            need.precision,
            gigabytes(need.language_model_bytes),
            gigabytes(need.codec_bytes),
            gigabytes(need.context_bytes)
        );
        rows.push(("memory", parts));
    }
    let working_set =
        found.gpu_working_set_bytes.map(|bytes| format!(", which can work with {}", gigabytes(bytes as usize)));
    // Not asked if the checkpoint cannot be opened.
    if !found.device.is_empty() {
        rows.push(("MLX computes on", format!("{}{}", found.device, working_set.unwrap_or_default())));
    }
    let program = concat!("CSM Studio ", env!("CARGO_PKG_VERSION")).to_owned();
    let mlx = found.mlx_version.as_ref().map(|v| format!("MLX {v}"));
    let versions = [Some(program), found.operating_system.clone(), mlx];
    rows.push(("versions", versions.into_iter().flatten().collect::<Vec<_>>().join(", ")));
    if let (Some(total), Some(free)) = (found.machine_memory_bytes, found.available_memory_bytes) {
        rows.push((
            "main memory",
            format!("{}, of which {} are free", gigabytes(total as usize), gigabytes(free as usize)),
        ));
    }
    rows.extend(found.example_ids.as_ref().map(|ids| ("\"[0]Hello.\" is", format!("{ids:?}"))));
    rows.extend(found.notes.iter().map(|note| ("note", note.clone())));
    rows.extend(found.warnings.iter().map(|warning| ("warning", warning.clone())));
    rows.extend(found.problems.iter().map(|problem| ("problem", problem.clone())));
    rows.extend(found.advice.iter().map(|advice| ("next", advice.clone())));
    let mut lines = Vec::new();
    let mut before = "";
    for (label, value) in rows {
        lines.push(format!("{:<15} {value}", if label == before { "" } else { label }));
        before = label;
    }
    lines.join("\n")
}

fn stack(s: &StackInfo) -> String {
    format!(
        "{} layers of width {}, {} heads ({} for keys and values), feed-forward {}, RoPE theta {}",
        s.layers, s.width, s.heads, s.kv_heads, s.feed_forward, s.rope_theta
    )
}
