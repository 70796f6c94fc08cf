//! A report as CSV: one row per token.

use super::Report;
use crate::analysis::statistics::STEP_STATISTICS;
use crate::data::csv_cell;
use crate::error::{Error, Result};

/// Columns before the statistics.
const HEAD: [&str; 5] = ["clip", "frame", "codebook", "token", "label"];

/// CSV (RFC 4180). Statistics of draws that were not computed are empty. `name` is the file's, for messages.
///
/// # Errors
/// [`Error::Write`]; none is expected in memory.
pub fn csv(report: &Report, name: &std::path::Path) -> Result<Vec<u8>> {
    let failed = |e: csv::Error| Error::write(name, e);
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(HEAD.into_iter().chain(STEP_STATISTICS.iter().map(|s| s.key))).map_err(failed)?;
    for clip in &report.clips {
        for (t, frame) in clip.codes.frames().enumerate() {
            for (k, token) in frame.iter().enumerate() {
                let label = report.model.label(k, *token);
                let mut row = vec![csv_cell(&clip.name), t.to_string(), k.to_string(), token.to_string()];
                row.push(csv_cell(label));
                let stats = clip.steps.as_ref().map(|s| &s[t][k]);
                row.extend(STEP_STATISTICS.iter().map(|s| stats.map_or(String::new(), |x| x[s.stat].to_string())));
                out.write_record(row).map_err(failed)?;
            }
        }
    }
    out.into_inner().map_err(|e| Error::write(name, e.into_error()))
}
