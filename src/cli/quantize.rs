//! `csm quantize`.

use std::path::PathBuf;

use regex::Regex;

use super::Outcome;
use super::output::{message, print_line};
use super::run_job::cancel_on_signals;
use crate::checkpoint::{AdapterSpec, Checkpoint, CheckpointSpec};
use crate::error::Result;
use crate::quantize::{Cost, QuantizeSpec, measure, quantize, unfinished};

/// Texts of the report.
const TEXTS: [&str; 3] = [
    "The little boat sailed across the lake.",
    "We could meet again in the garden tomorrow evening.",
    "The old captain carried a heavy wooden box up the stairs.",
];

/// Flags of `csm quantize`.
#[derive(clap::Args, Debug)]
pub struct QuantizeArgs {
    /// The checkpoint: a folder, a weight file, or the id of a repository in Hugging Face's cache
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The folder to write, which must not exist yet or be empty
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Bits per quantised number
    #[arg(long, value_parser = ["4", "8"], default_value = "8")]
    bits: String,
    /// Numbers per group, which share a scale
    #[arg(long, value_parser = ["32", "64"], default_value = "64")]
    group: String,
    /// Do not quantise modules whose MLX name matches a pattern (a regular expression), such as `decoder` or `down_proj$`
    #[arg(long, value_name = "PATTERN", num_args = 1..)]
    keep: Vec<Regex>,
    /// A LoRA adapter to merge first
    #[arg(long, value_name = "DIR[:STRENGTH]")]
    adapter: Option<AdapterSpec>,
    /// Do not measure the loss
    #[arg(long)]
    no_report: bool,
    /// Print the result as one line of JSON
    #[arg(long)]
    json: bool,
}

/// Writes the quantised checkpoint, and measures it against the float one.
pub(super) fn run(args: &QuantizeArgs) -> Result<Outcome> {
    let spec = CheckpointSpec { path: Some(args.input.clone()), adapter: args.adapter.clone(), load_anyway: true };
    let checkpoint = Checkpoint::resolve(&spec)?;
    let number = |text: &str| text.parse().unwrap_or(0); // the parser lets nothing else through
    let spec = QuantizeSpec { bits: number(&args.bits), group: number(&args.group), keep: args.keep.clone() };
    for left in unfinished(&args.output) {
        message!("note: {} was left by an earlier run that ended early; delete it", left.display());
    }
    let cancel = cancel_on_signals();
    let written = quantize(&checkpoint, &args.output, &spec, &|| cancel.is_cancelled())?;
    let cost = match args.no_report {
        true => None,
        false => Some(measure(&checkpoint, &Checkpoint::open(&args.output)?, &TEXTS)?),
    };
    if args.json {
        let json = serde_json::json!({
            "output": args.output.display().to_string(), "bits": spec.bits, "group": spec.group, "quantised": written.quantised, "kept": written.kept,
            "bytes_before": written.bytes_before, "bytes": written.bytes, "cost": cost,
        });
        print_line(&json.to_string())?;
        return Ok(Outcome::Done);
    }
    let megabytes = |bytes: usize| bytes as f64 / 1e6;
    print_line(&format!(
        "{}: {} matrices in {} bits, groups of {}; {} tensors as they were; language model {:.1} MB, was {:.1} MB",
        args.output.display(),
        written.quantised,
        spec.bits,
        spec.group,
        written.kept,
        megabytes(written.bytes),
        megabytes(written.bytes_before)
    ))?;
    cost.map_or(Ok(()), |cost| print_line(&table(&cost)))?;
    Ok(Outcome::Done)
}

fn table(cost: &Cost) -> String {
    let mut lines =
        vec!["codebook    draws  mean KL, bits  largest KL  tokens that the same noise draws otherwise".to_owned()];
    for (n, c) in cost.codebooks.iter().enumerate() {
        let share = 100.0 * c.flips as f64 / c.draws.max(1) as f64;
        lines.push(format!(
            "{n:8} {:8}  {:13.2e}  {:10.2e}  {} ({share:.1} %)",
            c.draws, c.mean_kl, c.largest_kl, c.flips
        ));
    }
    for (n, (divergence, frames)) in cost.first_divergences.iter().zip(&cost.frames).enumerate() {
        let text = match divergence {
            Some(frame) => format!("clip {}: leaves the float checkpoint's path at frame {frame} of {frames}", n + 1),
            None => format!("clip {}: the same {frames} frames as the float checkpoint", n + 1),
        };
        lines.push(text);
    }
    lines.join("\n")
}
