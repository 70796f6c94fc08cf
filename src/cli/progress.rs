//! Progress: a bar on a terminal, plain lines elsewhere. Both on standard error, so that standard output stays clean.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::output::message;
use crate::worker::{Event, FrameEvent};

/// Frames between two plain lines: two seconds of speech.
const LINE_EVERY: usize = 25;

/// The progress of one clip.
pub(super) struct FrameProgress {
    bar: Option<ProgressBar>,
}

impl FrameProgress {
    /// A clip of at most `frames` frames.
    pub(super) fn new(frames: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(frames as u64);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} frame {pos} of at most {len}  {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar }
    }

    pub(super) fn show(&self, event: &Event) {
        match event {
            Event::Frame(f) => self.frame(f),
            Event::Retry { issue, seed } => self.line(&format!("trying again with seed {seed}: {}", issue.describe())),
            Event::Audio(_) => {}
        }
    }

    /// Shows an event of one of several clips, whose frames are counted together.
    pub(super) fn show_one_of_many(&self, event: &Event) {
        match (event, &self.bar) {
            (Event::Frame(_), Some(bar)) => bar.inc(1),
            (Event::Retry { .. }, _) => self.show(event),
            _ => {}
        }
    }

    fn frame(&self, f: &FrameEvent) {
        let number = f.frame.frame + 1;
        let message = format!("{:.1} s of sound, real-time factor {:.2}", f.audio_seconds, f.real_time_factor);
        match &self.bar {
            Some(bar) => {
                bar.set_position(number as u64);
                bar.set_message(message);
            }
            None if number.is_multiple_of(LINE_EVERY) => message!("frame {number}: {message}"),
            None => {}
        }
    }

    /// Prints a line above the bar.
    pub(super) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => message!("{text}"),
        }
    }

    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
