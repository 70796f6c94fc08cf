//! The log: a file per day in the user's data folder, kept for a week, and standard error on request.

use std::path::PathBuf;

use crate::files::create_private_folder;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Log files that are kept.
const KEPT: usize = 7;

/// The folder of the log files; `None` without a home folder.
pub fn log_folder() -> Option<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "csm-studio")?;
    Some(folders.data_local_dir().join("logs"))
}

/// Starts the log and makes panics part of it. With `debug`, or where `RUST_LOG` is set, it goes to standard error too. A log
/// that cannot be written is not a reason to stop: the program runs without it.
pub fn start(debug: bool) {
    let file = log_folder().and_then(|folder| {
        create_private_folder(&folder).ok()?;
        let builder = RollingFileAppender::builder().rotation(Rotation::DAILY).max_log_files(KEPT);
        builder.filename_prefix("csm-studio").filename_suffix("log").build(folder).ok()
    });
    let file = file.map(|writer| {
        let filter = EnvFilter::new("warn,csm_studio=info");
        tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer).with_filter(filter)
    });
    let on_terminal = debug || std::env::var_os("RUST_LOG").is_some();
    let terminal = on_terminal.then(|| {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("csm_studio=debug"));
        let layer = tracing_subscriber::fmt::layer().without_time().with_level(false).with_target(false);
        layer.with_ansi(false).with_writer(std::io::stderr).with_filter(filter)
    });
    if tracing_subscriber::registry().with(file).with(terminal).try_init().is_err() {
        return; // a test or an example has started one
    }
    let default_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("{panic}\n{}", std::backtrace::Backtrace::force_capture());
        default_hook(panic);
    }));
}
