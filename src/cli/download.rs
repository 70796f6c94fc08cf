//! `csm download`.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use super::Outcome;
use super::output::print_line;
use super::run_job::cancel_on_signals;
use crate::cli::output::message;
use crate::download::{DownloadSpec, Progress, download};
use crate::error::Result;

/// Flags of `csm download`.
#[derive(clap::Args, Debug)]
pub struct DownloadArgs {
    /// The repository, such as sesame/csm-1b (or csm-1b for short)
    #[arg(value_name = "ID")]
    id: String,
    /// A branch, tag or commit
    #[arg(long, default_value = "main", value_name = "NAME")]
    revision: String,
}

/// Fetches a checkpoint into Hugging Face's cache. Ctrl-C keeps what was fetched.
pub(super) fn run(args: &DownloadArgs) -> Result<Outcome> {
    let spec = DownloadSpec { revision: args.revision.clone(), ..DownloadSpec::from_environment(&args.id) };
    let cancel = cancel_on_signals();
    let mut bar = Bar::default();
    let result = download(&spec, &|| cancel.is_cancelled(), &mut |progress| bar.show(progress));
    bar.finish();
    let done = result?;
    for repository in &done.borrowed {
        message!("note: what the checkpoint borrows was fetched from {repository}");
    }
    let megabytes = done.received as f64 / 1e6;
    print_line(&format!("{}: complete ({megabytes:.1} MB received)", done.folder.display()))?;
    Ok(Outcome::Done)
}

/// A bar on a terminal, lines elsewhere.
#[derive(Default)]
struct Bar {
    bar: Option<ProgressBar>,
    total: u64,
    /// Tenths that were printed.
    printed: u64,
}

impl Bar {
    fn show(&mut self, progress: Progress) {
        match progress {
            Progress::Planned { repository, files, bytes } => {
                self.finish();
                (self.total, self.printed) = (bytes, 0);
                message!("{repository}: {files} files, {:.2} GB", bytes as f64 / 1e9);
                if std::io::stderr().is_terminal() {
                    let bar = ProgressBar::new(bytes);
                    let template = "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left  {msg}";
                    if let Ok(style) = ProgressStyle::with_template(template) {
                        bar.set_style(style);
                    }
                    self.bar = Some(bar);
                }
            }
            Progress::Bytes { file, done } => match &self.bar {
                Some(bar) => {
                    bar.set_position(done);
                    bar.set_message(file);
                }
                None => {
                    let tenths = (10 * done).checked_div(self.total).unwrap_or(0);
                    if tenths > self.printed {
                        self.printed = tenths;
                        message!("{} % ({done} of {} bytes), {file}", 10 * tenths, self.total);
                    }
                }
            },
            Progress::Retry { file, problem, wait } => {
                let line = format!("{file}: {problem}; trying again in {:.0} s", wait.as_secs_f64());
                match &self.bar {
                    Some(bar) => bar.println(line),
                    None => message!("{line}"),
                }
            }
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
