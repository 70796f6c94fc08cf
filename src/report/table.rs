//! A report as a table: one row a token.

use super::Report;

/// Names of the columns.
const HEAD: [&str; 15] = [
    "clip",
    "frame",
    "codebook",
    "token",
    "label",
    "entropy_bits",
    "perplexity",
    "probability",
    "surprisal_bits",
    "rank",
    "sampled_entropy_bits",
    "sampled_probability",
    "sampled_surprisal_bits",
    "kept_mass",
    "survivors",
];

/// CSV (RFC 4180). Columns of draws that were not computed are empty.
///
/// # Errors
/// None in memory, but the writer's type has them.
pub fn csv(report: &Report) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(HEAD)?;
    for clip in &report.clips {
        for (t, frame) in clip.frames.iter().enumerate() {
            for (k, token) in frame.iter().enumerate() {
                let labels = report.model.labels.as_ref();
                let label = labels.and_then(|l| l.get(k)?.get(*token as usize)).map_or("", String::as_str);
                let mut row =
                    vec![clip.name.clone(), t.to_string(), k.to_string(), token.to_string(), label.to_owned()];
                if let Some(step) = clip.steps.as_ref().map(|s| &s[t][k]) {
                    let (raw, sampled) = (&step.raw, &step.sampled);
                    let raw = [raw.entropy, raw.perplexity, raw.probability, raw.surprisal];
                    row.extend(raw.map(|x| x.to_string()));
                    row.push(step.raw.rank.to_string());
                    let sampled = [sampled.entropy, sampled.probability, sampled.surprisal, step.kept_mass];
                    row.extend(sampled.map(|x| x.to_string()));
                    row.push(step.survivors.to_string());
                }
                row.resize(HEAD.len(), String::new());
                out.write_record(row)?;
            }
        }
    }
    out.into_inner().map_err(|e| e.into_error().into())
}
