//! The window: the real program with the real worker on the demo voice, drawn without a display.

mod comparing;
mod listening;
mod look;
mod models;
mod panels;
mod speaking;
mod takes;
mod voices;
mod window;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use csm_studio::analysis::statistics::Stat;
use csm_studio::audio::microphone::MicrophoneSource;
use csm_studio::audio::player::Sink;
use csm_studio::audio::{recording, wav};
use csm_studio::checkpoint::CheckpointSpec;
use csm_studio::data::{Codes, FinishReason, Mode, TokenFile};
use csm_studio::listen::{ListeningTest, Template, TestKind};
use csm_studio::studio::Studio;
use csm_studio::studio::comparison::{ComparisonCommand, PinKey};
use csm_studio::studio::composer::ComposerCommand;
use csm_studio::studio::inspector::InspectorCommand;
use csm_studio::studio::library::{Export, ExportKind, LibraryCommand, RegenerateSeed};
use csm_studio::studio::models::ModelsCommand;
use csm_studio::studio::monitor::{CodebookMixer, MonitorCommand, PlaybackSource};
use csm_studio::studio::session::{Stored, StudioPaths};
use csm_studio::studio::settings::Theme;
use csm_studio::studio::test_bench::{TestBenchCommand, TestRequest, templates_for};
use csm_studio::takes::{Store, Take, TakeId};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use tempfile::TempDir;

use crate::support::demo_dims;

type Window<'a> = Harness<'a, Studio>;

fn paths(folder: &Path) -> StudioPaths {
    StudioPaths {
        takes: folder.join("takes"),
        cache: folder.join("cache"),
        settings: folder.join("settings.json"),
        sink: Some(Sink::Null { rate: 48_000 }),
        source: MicrophoneSource::Tone { rate: 48_000 },
        model: CheckpointSpec::default(),
        open: Vec::new(),
    }
}

fn studio(ctx: &egui::Context, paths: &StudioPaths) -> Studio {
    Studio::new(ctx, paths, Stored::read(paths).unwrap())
}

fn open<'a>(folder: &Path) -> Window<'a> {
    let mut window =
        Harness::builder().with_size([1280.0, 800.0]).wgpu().build_eframe(|c| studio(&c.egui_ctx, &paths(folder)));
    wait(&mut window, "the model", |s| s.session.models.is_ready());
    window
}

/// Draws frames until `done`.
fn wait(window: &mut Window<'_>, what: &str, done: impl Fn(&Studio) -> bool) {
    let begun = Instant::now();
    while !done(window.state()) {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "waited for {what}: {:?}",
            window.state().session.notifications.all()
        );
        std::thread::sleep(Duration::from_millis(5));
        window.step();
    }
    window.run_steps(3);
}

fn takes(window: &Window<'_>) -> usize {
    window.state().session.library.store.takes().len()
}

fn click(window: &mut Window<'_>, label: &str) {
    window.get_by_label(label).click();
    window.run_steps(3);
}

fn say(window: &mut Window<'_>, text: &str) {
    let field = window.get_by_label("Text of turn 1");
    field.focus();
    window.run_steps(2);
    window.get_by_label("Text of turn 1").type_text(text);
    window.run_steps(2);
    assert_eq!(window.state().session.composer.conversation.turns()[0].text, text);
}

fn generate(window: &mut Window<'_>) {
    let before = takes(window);
    click(window, "Speak");
    wait(window, "a take", |s| s.session.library.store.takes().len() > before && !s.session.is_speaking());
}

fn wait_for_silence(window: &mut Window<'_>) {
    wait(window, "the end of the sound", |s| !s.session.monitor.player.is_playing());
}

/// Waits until nothing is read or written in the background.
fn settle(window: &mut Window<'_>) {
    window.run_steps(2); // a key that was pressed may start something
    wait(window, "the background", |s| !s.session.works_in_background());
}

/// Where `seconds` of a clip are in a lane that shows `length` seconds of it; names stand in the margin at its left.
fn in_lane(window: &Window<'_>, lane: &str, seconds: f64, length: f64) -> egui::Pos2 {
    let rect = window.get_by_label(lane).rect();
    let rect = rect.with_min_x(rect.left() + 88.0);
    egui::pos2(rect.left() + (seconds / length) as f32 * rect.width(), rect.top() + 4.0)
}

fn press(window: &mut Window<'_>, from: egui::Pos2, to: egui::Pos2) {
    window.hover_at(from);
    window.drag_at(from);
    if from != to {
        window.step();
        window.hover_at(to);
        window.step();
    }
    window.drop_at(to);
    window.run_steps(3);
}

/// A window with a take that is not playing; the clip's seconds.
fn with_a_take<'a>(folder: &Path, text: &str) -> (Window<'a>, f64) {
    let mut window = open(folder);
    window.state_mut().session.preferences.settings.autoplay = false;
    say(&mut window, text);
    generate(&mut window);
    let length = window.state().session.monitor.player.seconds();
    (window, length)
}

/// Pins the current take.
fn pin_current(window: &mut Window<'_>) {
    let take = window.state().session.inspector.current.take.clone().unwrap();
    window.state_mut().session.run(ComparisonCommand::TogglePin(take));
    settle(window);
}

/// Keys that are no text go to the window once no field has the focus.
fn focus_nothing(window: &mut Window<'_>) {
    window.ctx.memory_mut(|m| m.focused().into_iter().for_each(|id| m.surrender_focus(id)));
    window.run_steps(2);
}
