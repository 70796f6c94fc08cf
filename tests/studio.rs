//! The window: the real program with the real worker on the demo voice, drawn without a display.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use csm_studio::analysis::statistics::Stat;
use csm_studio::audio::microphone::Source;
use csm_studio::audio::player::Sink;
use csm_studio::audio::wav;
use csm_studio::checkpoint::CheckpointSpec;
use csm_studio::data::{Codes, FinishReason, Mode, TokenFile};
use csm_studio::listen::{ListeningTest, Template, TestKind};
use csm_studio::studio::Studio;
use csm_studio::studio::session::StudioPaths;
use csm_studio::studio::settings::Theme;
use csm_studio::studio::state::{Codebooks, Heard, TestRequest};
use csm_studio::takes::{ClipSummary, Store, Take};
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
        source: Source::Tone { rate: 48_000 },
        model: CheckpointSpec::default(),
        open: Vec::new(),
    }
}

fn open<'a>(folder: &Path) -> Window<'a> {
    let mut window = Harness::builder()
        .with_size([1280.0, 800.0])
        .wgpu()
        .build_eframe(|c| Studio::new(&c.egui_ctx, paths(folder)).unwrap());
    wait(&mut window, "the model", |s| s.session.is_ready());
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
    assert_eq!(window.state().session.conversation.turns()[0].text, text);
}

fn generate(window: &mut Window<'_>) {
    let before = takes(window);
    click(window, "Speak");
    wait(window, "a take", |s| s.session.library.store.takes().len() > before && !s.session.is_speaking());
}

fn wait_for_silence(window: &mut Window<'_>) {
    wait(window, "the end of the sound", |s| !s.session.player.is_playing());
}

/// A longer text becomes turns, a piece each, spoken one after another with the piece before as context; a speaker's number at the
/// start of one is its speaker, and what is read in words is told.
#[test]
fn a_longer_text_is_spoken_in_pieces() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "[1]It is 10:45. I lost my keys.");
    click(&mut window, "Speak");
    wait(&mut window, "two takes", |s| s.session.library.store.takes().len() == 2 && !s.session.is_speaking());
    let s = &window.state().session;
    let turns: Vec<(u32, &str)> = s.conversation.turns().iter().map(|t| (t.speaker, t.text.as_str())).collect();
    assert_eq!(turns, [(1, "It is 10:45."), (1, "I lost my keys.")]);
    let read = |n: usize| {
        let path = s.library.store.path(&s.conversation.turns()[n].take.as_ref().unwrap().id).join("tokens.json");
        TokenFile::read(&path, &demo_dims()).unwrap()
    };
    let (first, second) = (read(0), read(1));
    assert!(first.context.is_empty());
    assert_eq!(second.context[0].frames, first.frames);
    let told: Vec<&str> = s.notifications.all().iter().map(|m| m.text.as_str()).collect();
    assert!(
        told.iter().any(|m| m.contains("ten forty-five")) && told.iter().any(|m| m.contains("2 pieces")),
        "{told:?}"
    );
}

#[test]
fn a_sentence_is_spoken_and_kept() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "Good morning.");
    generate(&mut window);
    let s = &window.state().session;
    let take = &s.library.store.takes()[0];
    assert_eq!((take.text.as_str(), take.stop), ("Good morning.", Some(FinishReason::Eos)));
    assert_eq!((s.inspected.steps.len(), s.inspected.frames.len()), (take.measures.frames, take.measures.frames));
    assert!((s.player.seconds() - take.measures.seconds).abs() < 1e-6);
    wait_for_silence(&mut window);

    click(&mut window, "exact");
    generate(&mut window);
    let modes: Vec<Mode> =
        window.state().session.library.store.takes().iter().map(|t| t.sampling.unwrap().mode).collect();
    assert_eq!(modes, [Mode::Exact, Mode::Native]);
}

#[test]
fn every_mode_has_a_button() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    for info in Mode::all() {
        click(&mut window, info.name);
        let enabled = csm_studio::torch::AVAILABLE || info.backend != csm_studio::data::Backend::Torch;
        assert!(!enabled || window.state().session.sampling.mode == info.mode, "{}", info.name);
    }
}

/// Three takes with a seed each, made side by side: the first is on view, and each is what its seed gives alone.
#[test]
fn several_takes_are_made_at_once() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.settings.autoplay = false;
    say(&mut window, "Good morning.");
    click(&mut window, "exact");
    click(&mut window, "3 seeds");
    wait(&mut window, "three takes", |s| s.session.library.store.takes().len() == 3 && !s.session.is_speaking());
    let s = &window.state().session;
    let mut seeds: Vec<u64> = s.library.store.takes().iter().map(|t| t.sampling.unwrap().seed).collect();
    seeds.dedup();
    assert_eq!(seeds.len(), 3);
    let on_view = s.inspected.take.clone().unwrap();
    assert_eq!(s.conversation.turns()[0].take.as_ref().unwrap().id, on_view);
    let other = s.library.store.takes().iter().find(|t| t.id != on_view).unwrap().id.clone();
    let file = |s: &Studio, id: &str| {
        TokenFile::read(&s.session.library.store.path(id).join("tokens.json"), &demo_dims()).unwrap().frames
    };
    let together = file(window.state(), &other);
    window.state_mut().session.regenerate(&other, csm_studio::studio::session::RegenerateSeed::Same);
    wait(&mut window, "it once more", |s| s.session.library.store.takes().len() == 4 && !s.session.is_speaking());
    let again = window.state().session.inspected.take.clone().unwrap();
    assert_eq!(file(window.state(), &again), together);
}

/// Where `seconds` of a clip are in a lane that shows `length` seconds of it; names stand in the margin at its left.
fn in_lane(window: &Window<'_>, lane: &str, seconds: f64, length: f64) -> egui::Pos2 {
    let rect = window.get_by_label(lane).rect();
    let rect = rect.with_min_x(rect.left() + 64.0);
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
    window.state_mut().session.settings.autoplay = false;
    say(&mut window, text);
    generate(&mut window);
    let length = window.state().session.player.seconds();
    (window, length)
}

/// Every lane selects the same frame at the same place, and what is selected is heard; Play goes on from there.
#[test]
fn a_click_in_any_lane_is_heard_and_play_goes_on_there() {
    let folder = TempDir::new().unwrap();
    let (mut window, length) = with_a_take(folder.path(), "Good morning.");
    let frame = (length / 2.0 / 0.08) as usize;
    for lane in ["Ruler", "Waveform", "Statistics over time", "Token map"] {
        let at = in_lane(&window, lane, length / 2.0, length);
        press(&mut window, at, at);
        let (from, to) = window.state().session.player.region().unwrap();
        assert!((from - 0.08 * frame as f64).abs() < 1e-6 && (to - from - 0.08).abs() < 1e-6, "{lane}: {from}, {to}");
        wait_for_silence(&mut window);
    }
    click(&mut window, "▶ Play");
    wait(&mut window, "the sound to move", |s| s.session.player.position() > length / 2.0 + 0.1);
}

/// A part that is dragged is played to its end and no further; L has it played over and over.
#[test]
fn a_part_is_heard_and_looped() {
    let folder = TempDir::new().unwrap();
    let (mut window, length) = with_a_take(folder.path(), "The little boat sailed across the lake.");
    let (from, to) = (in_lane(&window, "Waveform", 0.5, length), in_lane(&window, "Waveform", 0.9, length));
    press(&mut window, from, to);
    let (a, b) = window.state().session.player.region().unwrap();
    assert!((a - 0.5).abs() < 0.02 && (b - 0.9).abs() < 0.02, "{a} {b}");
    wait_for_silence(&mut window);
    assert!((window.state().session.player.position() - a).abs() < 1e-3);
    window.key_press(egui::Key::L);
    window.run_steps(3);
    std::thread::sleep(Duration::from_millis(900));
    let player = &window.state().session.player;
    assert!(player.is_playing() && player.is_looping() && (a..=b).contains(&player.position()));
    click(&mut window, "Clear the selection");
    assert_eq!(window.state().session.player.region(), None);
}

/// Another candidate is heard in its place without a take of it, and used for one that is the same up to there.
#[test]
fn another_token_is_heard_and_used() {
    let folder = TempDir::new().unwrap();
    let (mut window, length) = with_a_take(folder.path(), "The little boat sailed across the lake.");
    let before = window.state().session.inspected.frames.clone();
    let frame = (0..before.len()).find(|t| window.state().session.inspected.steps[*t][0][Stat::Entropy] > 1.0).unwrap();
    let at = in_lane(&window, "Token map", 0.08 * (frame as f64 + 0.5), length);
    press(&mut window, at, at);
    wait_for_silence(&mut window);
    let clip = &window.state().session.inspected;
    let best = csm_studio::analysis::top_ids(clip.logits[frame].row(0), 2);
    let token = best.into_iter().find(|id| *id as u32 != before.frame(frame)[0]).unwrap();
    click(&mut window, &format!("Play token {token}"));
    wait(&mut window, "the other token", |s| s.session.heard == Heard::OtherToken);
    wait_for_silence(&mut window);
    assert_eq!((takes(&window), &window.state().session.inspected.frames), (1, &before), "nothing is kept");
    click(&mut window, "▶ Play");
    assert!(window.state().session.heard == Heard::Clip && window.state().session.player.seconds() == length);
    click(&mut window, &format!("Use token {token}"));
    wait(&mut window, "the new take", |s| s.session.library.store.takes().len() == 2 && !s.session.is_speaking());
    let s = &window.state().session;
    let after = &s.inspected.frames;
    assert_eq!(after.prefix(frame), before.prefix(frame));
    assert_eq!(after.frame(frame)[0], token as u32);
    let take = s.library.store.get(s.inspected.take.as_ref().unwrap()).unwrap();
    assert!(take.edited && take.parent.is_some());
}

/// The wheel magnifies at the pointer in every lane; a double click shows all.
#[test]
fn lanes_are_zoomed_together() {
    let folder = TempDir::new().unwrap();
    let (mut window, length) = with_a_take(folder.path(), "The little boat sailed across the lake.");
    let at = in_lane(&window, "Statistics over time", length / 2.0, length);
    window.hover_at(at);
    for _ in 0..3 {
        window.event(egui::Event::MouseWheel {
            unit: egui::MouseWheelUnit::Point,
            delta: egui::vec2(0.0, 100.0),
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Wheel,
            modifiers: egui::Modifiers::NONE,
        });
        window.run_steps(10);
    }
    // What is a quarter of a lane away from the pointer is nearer to it in time than before.
    let quarter = in_lane(&window, "Waveform", length * 0.75, length);
    press(&mut window, quarter, quarter);
    let from = window.state().session.player.region().unwrap().0;
    assert!(from > length * 0.5 && from < length * 0.65, "{from} of {length}");
    wait_for_silence(&mut window);
}

#[test]
fn a_take_is_deleted_restored_and_found_again_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "Good morning.");
    click(&mut window, "exact");
    generate(&mut window);
    let id = window.state().session.library.store.takes()[0].id.clone();
    window.state_mut().session.try_update_store(|store| store.update(&id, |t| t.name = "the newest".into()));
    window.run_steps(2);
    click(&mut window, "Menu of the newest");
    click(&mut window, "Delete");
    assert_eq!(takes(&window), 0);
    click(&mut window, "Undo delete");
    assert_eq!(takes(&window), 1);
    drop(window);

    let mut window = open(folder.path());
    assert_eq!(takes(&window), 1);
    assert_eq!(window.state().session.sampling.mode, Mode::Exact, "settings are remembered");
    click(&mut window, "the newest");
    wait(&mut window, "the draws", |s| !s.session.generation.is_recomputing() && !s.session.inspected.steps.is_empty());
    let clip = &window.state().session.inspected;
    assert_eq!((clip.take.as_ref(), clip.steps.len()), (Some(&id), clip.frames.len()));
    // Teacher forcing recomputes what was drawn from: the token that was taken is never an impossible one.
    let probability = Stat::SampledProbability;
    assert!(clip.steps.iter().flatten().all(|s| s[probability] > 0.0));
}

/// A model that cannot be read ends the waiting and says why.
#[test]
fn a_failed_load_is_reported_and_not_waited_for() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let model = CheckpointSpec { path: Some(folder.path().join("empty")), ..CheckpointSpec::default() };
    let mut window = Harness::builder()
        .with_size([1280.0, 800.0])
        .build_eframe(|c| Studio::new(&c.egui_ctx, StudioPaths { model, ..paths(folder.path()) }).unwrap());
    wait(&mut window, "the failure", |s| !s.session.notifications.all().is_empty());
    let session = &window.state().session;
    assert!(session.notifications.all()[0].error && session.notifications.all()[0].text.contains("missing"));
    assert!(session.model.failure().unwrap().contains("missing"));
    assert!(window.query_all_by_label("No model").count() > 0);
    // It is no dead end.
    click(&mut window, "Use the demo voice");
    wait(&mut window, "the demo voice", |s| s.session.is_ready());
    say(&mut window, "Yes.");
    generate(&mut window);
}

/// Opening another model keeps the take that is being made, and what the prompt's recording says; the prompt is encoded anew.
#[test]
fn another_model_is_opened_once_the_take_is_kept() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    let (bytes, _) = wav::encode(&[0.2; 24_000], 24_000, &wav::WavInfo::default()).unwrap();
    let recording = folder.path().join("voice.wav");
    std::fs::write(&recording, bytes).unwrap();
    window.state_mut().session.set_prompt(recording);
    let encoded = |s: &Studio| s.session.conversation.prompt.as_ref().is_some_and(|prompt| prompt.frames.is_some());
    wait(&mut window, "the prompt", encoded);
    window.state_mut().session.conversation.prompt.as_mut().unwrap().text = "Something.".into();
    say(&mut window, "This is a long sentence that nobody wants to hear to its very end, not even today.");
    click(&mut window, "Speak");
    wait(&mut window, "some frames", |s| s.session.inspected.frames.len() >= 3);
    window.state_mut().session.open_model(CheckpointSpec::default());
    wait(&mut window, "the kept take", |s| s.session.library.store.takes().len() == 1 && !s.session.is_ready());
    assert_eq!(window.state().session.library.store.takes()[0].stop, Some(FinishReason::Cancelled));
    wait(&mut window, "the model", |s| s.session.is_ready());
    wait(&mut window, "the prompt once more", encoded);
    assert_eq!(window.state().session.conversation.prompt.as_ref().unwrap().text, "Something.");
}

/// Another checkpoint in the running window, and its takes beside the first one's: all can be heard.
#[test]
fn takes_of_another_model_can_be_heard() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    let mini = crate::support::repository("tests/goldens/files-v1");
    let session = &mut window.state_mut().session;
    let mut tokens: TokenFile = serde_json::from_slice(&std::fs::read(mini.join("tokens.json")).unwrap()).unwrap();
    tokens.frames = Codes::from_frames(vec![[7; 32]; 10]).unwrap();
    tokens.model.iter_mut().for_each(|m| m.sha256 = "another".into());
    let (bytes, _) = wav::encode(&[0.1; 19_200], 24_000, &wav::WavInfo::default()).unwrap();
    let id = session.library.store.add(a_take("of another model", 1), &tokens, &bytes).unwrap();
    session.inspect(&id);
    window.run_steps(3);
    let session = &window.state().session;
    assert_eq!((session.inspected.frames.codebooks(), session.player.seconds()), (32, 0.8));
    click(&mut window, "▶ Play");
    wait(&mut window, "the sound", |s| s.session.player.position() > 0.1);
    assert!(!window.state().session.notifications.all().iter().any(|n| n.error));
}

/// `csm-studio FILE…`: tokens are decoded and their draws computed, a WAV file is heard, other files are refused by name.
#[test]
fn files_are_opened() {
    let folder = TempDir::new().unwrap();
    let tokens = crate::support::repository("tests/goldens/files-v1/tokens.json");
    let open = vec![folder.path().join("notes.txt"), tokens.clone()];
    let mut window = Harness::builder()
        .with_size([1280.0, 800.0])
        .build_eframe(|c| Studio::new(&c.egui_ctx, StudioPaths { open, ..paths(folder.path()) }).unwrap());
    wait(&mut window, "the tokens", |s| {
        !s.session.inspected.frames.is_empty() && !s.session.generation.is_recomputing()
    });
    let file = TokenFile::read(&tokens, &demo_dims()).unwrap();
    let session = &mut window.state_mut().session;
    assert_eq!(session.inspected.frames, file.frames);
    assert!((session.player.seconds() - 0.08 * file.frames.len() as f64).abs() < 1e-6);
    let told = session.notifications.all();
    assert!(told.iter().any(|n| n.error && n.text.contains("notes.txt") && n.text.contains("WAV")), "{told:?}");
    let (bytes, _) = wav::encode(&[0.1; 12_000], 24_000, &wav::WavInfo::default()).unwrap();
    std::fs::write(folder.path().join("half.wav"), bytes).unwrap();
    session.open_file(&folder.path().join("half.wav"));
    window.run_steps(3);
    assert_eq!(window.state().session.player.seconds(), 0.5);
}

/// What is written in the window outlives it.
#[test]
fn a_draft_is_there_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "An unfinished thought");
    wait(&mut window, "the draft", |s| !s.session.has_unsaved_draft());
    drop(window); // as a kill would: nothing is saved on the way out
    let window = open(folder.path());
    assert_eq!(window.state().session.conversation.turns()[0].text, "An unfinished thought");
}

/// A voice prompt is never left out because it is not ready yet, and nothing that stops speaking stops it.
#[test]
fn a_turn_waits_for_the_voice_prompt() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    let (bytes, _) = wav::encode(&[0.2; 240_000], 24_000, &wav::WavInfo::default()).unwrap();
    let recording = folder.path().join("voice.wav");
    std::fs::write(&recording, bytes).unwrap();
    say(&mut window, "Good morning.");
    let session = &mut window.state_mut().session;
    session.set_prompt(recording);
    session.generation.stop();
    session.speak_turn(0, false);
    session.generation.stop();
    session.speak_turn(0, false);
    assert_eq!(session.generation.queued_takes(), 1);
    wait(&mut window, "the recording", |s| s.session.conversation.prompt.is_some());
    let prompt = window.state_mut().session.conversation.prompt.as_mut().unwrap();
    assert!(prompt.frames.is_none(), "it is still being encoded");
    prompt.text = "Something.".into();
    wait(&mut window, "the take", |s| s.session.library.store.takes().len() == 1 && !s.session.is_speaking());
    let s = &window.state().session;
    let path = s.library.store.path(&s.library.store.takes()[0].id).join("tokens.json");
    let file = TokenFile::read(&path, &demo_dims()).unwrap();
    assert_eq!(file.context.len(), 1);
    assert_eq!(Some(&file.context[0].frames), s.conversation.prompt.as_ref().unwrap().frames.as_ref());
}

/// Escape closes a list that is open, and only the next one stops speaking.
#[test]
fn escape_closes_before_it_stops() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "This is a long sentence that nobody wants to hear to its very end, not even today.");
    click(&mut window, "Speak");
    wait(&mut window, "some frames", |s| s.session.inspected.frames.len() >= 2);
    click(&mut window, "Theme");
    window.key_press(egui::Key::Escape);
    window.run_steps(3);
    assert!(window.state().session.is_speaking());
    window.key_press(egui::Key::Escape);
    wait(&mut window, "the end", |s| !s.session.is_speaking());
    assert_eq!(window.state().session.library.store.takes()[0].stop, Some(FinishReason::Cancelled));
}

/// Messages lie over the window: nothing moves under the pointer, and equal ones are one.
#[test]
fn notifications_move_nothing() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    let before = window.get_by_label("Speak").rect();
    for _ in 0..3 {
        window.state_mut().session.notify_error("the same trouble");
    }
    window.state_mut().session.notify_error("another");
    window.run_steps(3);
    assert_eq!(window.get_by_label("Speak").rect(), before);
    assert_eq!(window.query_all_by_label("the same trouble (×3)").count(), 1);
    click(&mut window, "Dismiss notification 1");
    assert_eq!(window.state().session.notifications.all().len(), 1);
}

/// The last frame can be heard by itself as well.
#[test]
fn the_last_frame_is_heard_by_itself() {
    let folder = TempDir::new().unwrap();
    let (mut window, length) = with_a_take(folder.path(), "Good morning.");
    let frames = window.state().session.inspected.frames.len();
    let cell = in_lane(&window, "Token map", 0.08 * (frames as f64 - 0.5), length);
    press(&mut window, cell, cell);
    let (from, to) = window.state().session.player.region().unwrap();
    assert!((to - length).abs() < 1e-6 && (to - from - 0.08).abs() < 1e-6, "{from}, {to} of {length}");
    wait_for_silence(&mut window);
    assert!((window.state().session.player.position() - from).abs() < 1e-3);
}

#[test]
fn cancelling_keeps_what_was_made() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "This is a long sentence that nobody wants to hear to its very end, not even today.");
    click(&mut window, "Speak");
    wait(&mut window, "some frames", |s| s.session.inspected.frames.len() >= 3);
    click(&mut window, "Stop");
    wait(&mut window, "the end", |s| !s.session.is_speaking());
    let take = &window.state().session.library.store.takes()[0];
    assert_eq!(take.stop, Some(FinishReason::Cancelled));
    assert!((3..40).contains(&take.measures.frames), "{}", take.measures.frames);
}

#[test]
fn a_reply_hears_the_turns_before_it_and_the_command_makes_it_again() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    let session = &mut window.state_mut().session;
    session.conversation.edit(0, 0, "How are you?");
    session.conversation.add(1, "I am fine.");
    window.run_steps(2);
    window.get_by_label("Text of turn 2").focus();
    window.run_steps(2);
    // What it answers has not been spoken: that comes first.
    click(&mut window, "Speak as reply");
    assert!(window.state().session.notifications.all().iter().any(|m| m.text.contains("spoken first")));
    wait(&mut window, "the reply", |s| s.session.conversation.turns()[1].take.is_some());
    assert!(!window.state().session.conversation.is_stale(1));
    let s = &window.state().session;
    let reply = s.conversation.turns()[1].take.clone().unwrap().id;
    let tokens = std::fs::read(s.library.store.path(&reply).join("tokens.json")).unwrap();
    let file: TokenFile = serde_json::from_slice(&tokens).unwrap();
    assert_eq!((file.context.len(), file.context[0].text.as_str()), (1, "How are you?"));
    let first = s.conversation.turns()[0].take.clone().unwrap().id;
    for (take, command) in [(&reply, s.command_line(&reply).unwrap()), (&first, s.command_line(&first).unwrap())] {
        let script = command.replacen("csm", env!("CARGO_BIN_EXE_csm"), 1) + " --dump-tokens again.json";
        let out = Command::new("sh").args(["-c", &script]).current_dir(folder.path()).output().unwrap();
        assert!(out.status.success(), "{command}: {}", String::from_utf8_lossy(&out.stderr));
        let again = TokenFile::read(&folder.path().join("again.json"), &demo_dims()).unwrap();
        let kept = TokenFile::read(&s.library.store.path(take).join("tokens.json"), &demo_dims()).unwrap();
        assert_eq!(again.frames, kept.frames, "{command}");
    }
}

#[test]
fn a_take_is_resumed_in_another_mode_from_a_frame_on() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "The little boat sailed across the lake.");
    generate(&mut window);
    let before = window.state().session.inspected.frames.clone();
    let length = window.state().session.player.seconds();
    let cell = in_lane(&window, "Token map", 0.08 * 5.5, length);
    press(&mut window, cell, cell);
    click(&mut window, "exact");
    window.state_mut().session.sampling.codebook0.temperature = 1.4;
    click(&mut window, "From here ▼");
    click(&mut window, "Current settings");
    wait(&mut window, "the new take", |s| s.session.library.store.takes().len() == 2 && !s.session.is_speaking());
    let s = &window.state().session;
    assert_eq!(s.inspected.frames.prefix(5), before.prefix(5), "the same up to there");
    assert_ne!(s.inspected.frames, before);
    let modes: Vec<Mode> = s.inspected.samplings.iter().map(|s| s.mode).collect();
    assert!(modes[..5].iter().all(|m| *m == Mode::Native) && modes[5..].iter().all(|m| *m == Mode::Exact), "{modes:?}");
    let take = s.library.store.get(s.inspected.take.as_ref().unwrap()).unwrap();
    assert!(take.edited && take.parent.is_some());
}

/// Another seed from a frame on: what comes before stays, what comes after has that seed's noise, and the command line makes it again.
#[test]
fn a_take_is_spoken_again_from_a_frame_on_with_another_seed() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.settings.autoplay = false;
    say(&mut window, "The little boat sailed across the lake.");
    click(&mut window, "exact");
    generate(&mut window);
    let before = window.state().session.inspected.frames.clone();
    window.state_mut().session.select(Some((5, 0)));
    focus_nothing(&mut window);
    window.key_press(egui::Key::R);
    wait(&mut window, "the new take", |s| s.session.library.store.takes().len() == 2 && !s.session.is_speaking());
    let s = &window.state().session;
    assert_eq!(s.inspected.frames.prefix(5), before.prefix(5), "the same up to there");
    assert_ne!(s.inspected.frames, before);
    let seeds: Vec<u64> = s.inspected.samplings.iter().map(|s| s.seed).collect();
    assert!(seeds[..5].iter().all(|seed| *seed == seeds[0]) && seeds[5..].iter().all(|seed| *seed != seeds[0]));
    let again = s.inspected.take.clone().unwrap();
    let made = s.inspected.frames.clone();
    window.state_mut().session.regenerate(&again, csm_studio::studio::session::RegenerateSeed::Same);
    wait(&mut window, "it once more", |s| s.session.library.store.takes().len() == 3 && !s.session.is_speaking());
    assert_eq!(window.state().session.inspected.frames, made);
}

/// Keys that are no text go to the window once no field has the focus.
fn focus_nothing(window: &mut Window<'_>) {
    window.ctx.memory_mut(|m| m.focused().into_iter().for_each(|id| m.surrender_focus(id)));
    window.run_steps(2);
}

/// Takes that are made to be compared are pinned by themselves; a number key switches to one at the same moment while it plays.
#[test]
fn pinned_takes_are_switched_while_they_play() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.settings.autoplay = false;
    say(&mut window, "The little boat sailed across the quiet lake, and nobody said a word.");
    click(&mut window, "3 seeds");
    wait(&mut window, "three takes", |s| s.session.pins.clips().len() == 3 && !s.session.is_speaking());
    focus_nothing(&mut window);
    window.key_press(egui::Key::Num2);
    window.run_steps(2);
    assert_eq!(window.state().session.heard, Heard::Pinned(1));
    window.key_press(egui::Key::Space);
    wait(&mut window, "the sound to move", |s| s.session.player.position() > 0.3);
    let before = window.state().session.player.position();
    window.key_press(egui::Key::Num3);
    window.run_steps(2);
    let player = &window.state().session.player;
    assert!(player.is_playing() && player.position() >= before && player.position() < before + 0.5);
    assert!((player.seconds() - window.state().session.pins.clips()[2].seconds()).abs() < 1e-3);
    // While another take is made, the pinned one goes on, and what is made does not get in its way.
    let first = window.state().session.pins.clips()[0].take.clone();
    window.state_mut().session.regenerate_often(&first, 1);
    let playing = window.state().session.player.is_playing();
    wait(&mut window, "a fourth take", |s| s.session.library.store.takes().len() == 4 && !s.session.is_speaking());
    assert!(playing, "it was playing when the take began");
    click(&mut window, "Compare");
    assert!(window.query_by_label("Unpin all").is_some());
}

/// A codebook that is muted is decoded without it, and heard at once in the place of the clip; the badge leads back.
#[test]
fn codebooks_are_muted_and_heard() {
    let folder = TempDir::new().unwrap();
    let (mut window, length) = with_a_take(folder.path(), "The little boat sailed across the lake.");
    click(&mut window, "Mute codebook 1");
    wait(&mut window, "the decoding", |s| s.session.heard == Heard::SomeCodebooks);
    let player = &window.state().session.player;
    assert!((player.seconds() - length).abs() < 1e-6);
    assert!(window.query_by_label("Mute codebook 1").is_some());
    click(&mut window, "Hear the clip on view");
    assert_eq!(window.state().session.heard, Heard::Clip);
    // What is no longer wanted is not heard when it is decoded.
    let session = &mut window.state_mut().session;
    session.hear_codebooks(Codebooks::first(1, 6));
    session.hear_codebooks(Codebooks::default());
    std::thread::sleep(Duration::from_millis(300));
    window.run_steps(5);
    assert_eq!(window.state().session.heard, Heard::Clip);
    click(&mut window, "Solo codebook 0");
    wait(&mut window, "the decoding", |s| s.session.heard == Heard::SomeCodebooks);
    assert!(!window.state().session.codebooks.is_heard(1) && window.state().session.codebooks.is_heard(0));
}

/// What other settings would have drawn is told without the model: a greedy draw flips what was not the most likely token, and the
/// take's own settings flip nothing.
#[test]
fn other_settings_are_asked_about() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.settings.autoplay = false;
    say(&mut window, "The little boat sailed across the lake.");
    click(&mut window, "exact");
    generate(&mut window);
    click(&mut window, "What if");
    click(&mut window, "Draw again");
    wait(&mut window, "the answer", |s| s.session.what_if.answer().is_some());
    let own = window.state().session.what_if.answer().unwrap().clone();
    assert_eq!((own.flips, own.first), (0, None), "the same noise and settings draw the same");
    let mut greedy = window.state().session.inspected.samplings[0];
    (greedy.codebook0.temperature, greedy.depth.temperature) = (0.0, 0.0);
    window.state_mut().session.ask_what_if(Some(greedy));
    wait(&mut window, "the answer", |s| !s.session.what_if.is_running());
    let s = &window.state().session;
    let answer = s.what_if.answer().unwrap();
    let (t, k) = answer.first.unwrap();
    assert!(s.inspected.steps[t][k][Stat::Rank] > 1.0, "a token that was not the most likely one");
    click(&mut window, "Regenerate from there");
    wait(&mut window, "the new take", |s| s.session.library.store.takes().len() == 2 && !s.session.is_speaking());
    let s = &window.state().session;
    assert_eq!(s.inspected.frames.frame(t)[k], answer_token(&s.inspected, t, k), "what was told came true");
}

fn answer_token(clip: &csm_studio::studio::state::InspectedClip, t: usize, k: usize) -> u32 {
    csm_studio::analysis::top_ids(clip.logits[t].row(k), 1)[0] as u32
}

/// The key of the next problem selects one and plays it; the list has it.
#[test]
fn problems_are_found_by_key() {
    let folder = TempDir::new().unwrap();
    let (mut window, _) = with_a_take(folder.path(), "The little boat sailed across the lake.");
    // A token that nothing could have drawn is one for certain.
    window.state_mut().session.use_token(7, 0, 900);
    wait(&mut window, "the new take", |s| s.session.library.store.takes().len() == 2 && !s.session.is_speaking());
    focus_nothing(&mut window);
    let frames: Vec<usize> =
        window.state().session.inspected.problems(demo_dims().frame_samples()).iter().map(|p| p.frame).collect();
    assert!(frames.contains(&7), "{frames:?}");
    for frame in &frames {
        window.key_press(egui::Key::N);
        window.run_steps(2);
        assert_eq!(window.state().session.view.cell.unwrap().0, *frame);
        assert!(window.state().session.player.region().is_some());
    }
    window.key_press_modifiers(egui::Modifiers::SHIFT, egui::Key::N);
    window.run_steps(2);
    assert!(frames.len() < 2 || window.state().session.view.cell.unwrap().0 == frames[frames.len() - 2]);
    assert!(window.query_all_by_label_contains("Speak again from before").count() > 0);
}

/// Every command is found in the palette by words of its name and run by Enter.
#[test]
fn a_command_is_run_from_the_palette() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::K);
    window.run_steps(3);
    window.get_by_label("Search commands").type_text("theme dark");
    window.run_steps(2);
    window.key_press(egui::Key::Enter);
    window.run_steps(3);
    assert_eq!(window.state().session.settings.theme, Theme::Dark);
    assert!(window.query_by_label("Search commands").is_none(), "it closes");
    window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::K);
    window.run_steps(2);
    window.key_press(egui::Key::Escape);
    window.run_steps(2);
    assert!(window.query_by_label("Search commands").is_none());
}

/// Several takes are chosen, deleted together and brought back together; the list filters and keeps its rows' height.
#[test]
fn takes_are_chosen_filtered_and_deleted_together() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    let tokens = TokenFile { frames: Codes::from_frames([[1, 2]]).unwrap(), ..TokenFile::default() };
    for n in 0..5 {
        let take = a_take(&format!("take number {n}"), n);
        window.state_mut().session.library.store.add(take, &tokens, b"wav").unwrap();
    }
    window.run_steps(3);
    for name in ["take number 1", "take number 3"] {
        window.get_by_label(name).click_modifiers(egui::Modifiers::COMMAND);
        window.run_steps(2);
    }
    assert!(window.query_by_label("2 chosen").is_some());
    // From the one before to this one.
    window.get_by_label("take number 2").click_modifiers(egui::Modifiers::SHIFT);
    window.run_steps(2);
    assert!(window.query_by_label("3 chosen").is_some());
    focus_nothing(&mut window);
    window.key_press(egui::Key::Delete);
    window.run_steps(3);
    assert_eq!(takes(&window), 2);
    click(&mut window, "Undo delete");
    assert_eq!(takes(&window), 5);
    let top = |window: &Window<'_>, name: &str| window.get_by_label(name).rect().top();
    let pitch = top(&window, "take number 3") - top(&window, "take number 4");
    assert!((top(&window, "take number 0") - top(&window, "take number 4") - 4.0 * pitch).abs() < 0.5, "B11");
    window.get_by_label("take number 0").click_secondary();
    window.run_steps(3);
    click(&mut window, "Rename");
    window.key_press(egui::Key::Escape);
    window.run_steps(3);
    assert!(window.query_by_label("New name").is_none() && window.query_by_label("take number 0").is_some(), "B12");
    window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::F);
    window.run_steps(2);
    window.get_by_label("Search takes").type_text("number 4");
    window.run_steps(3);
    assert!(window.query_by_label("1 of 5").is_some());
}

/// The conversation is one WAV with a pause between its turns, and every turn has to be spoken for that.
#[test]
fn a_conversation_is_exported_and_settings_are_taken_over() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.settings.autoplay = false;
    say(&mut window, "Good morning.");
    let session = &mut window.state_mut().session;
    session.conversation.add(1, "Hello to you.");
    let error = session.conversation_wav().unwrap_err().to_string();
    assert!(error.contains("Speak all"), "{error}");
    session.speak_conversation();
    wait(&mut window, "both turns", |s| s.session.conversation.takes().is_some() && !s.session.is_speaking());
    let session = &mut window.state_mut().session;
    let wav_file = folder.path().join("conversation.wav");
    std::fs::write(&wav_file, session.conversation_wav().unwrap()).unwrap();
    let written = wav::read(&wav_file, 24_000).unwrap().len() as f64 / 24_000.0;
    let seconds: f64 = session.library.store.takes().iter().map(|t| t.measures.seconds).sum();
    assert!((written - seconds - 0.3).abs() < 1e-3, "{written} of {seconds}");
    let first = session.conversation.takes().unwrap().remove(0);
    session.sampling.codebook0.temperature = 0.123;
    session.use_settings(&first);
    let made_with = session.library.store.get(&first).unwrap().sampling.unwrap();
    assert!(session.sampling == made_with && !session.settings.random_seed);
    click(&mut window, "Conversation");
    click(&mut window, "Play all");
    assert_eq!(window.state().session.heard, Heard::Recording);
    assert!((window.state().session.player.seconds() - written).abs() < 1e-3);
}

/// A take that was made with room for more is made again as long as it was, whatever the setting is now.
#[test]
fn a_take_made_again_is_as_long_as_it_was() {
    let folder = TempDir::new().unwrap();
    let (mut window, length) = with_a_take(folder.path(), "The little boat sailed across the lake.");
    assert!(length > 1.5);
    window.state_mut().session.settings.max_seconds = 1.0;
    let clip = &window.state().session.inspected;
    let (id, before) = (clip.take.clone().unwrap(), clip.frames.clone());
    window.state_mut().session.regenerate(&id, csm_studio::studio::session::RegenerateSeed::Same);
    wait(&mut window, "the take again", |s| s.session.library.store.takes().len() == 2 && !s.session.is_speaking());
    let clip = &window.state().session.inspected;
    assert_eq!((&clip.frames, clip.stop), (&before, Some(FinishReason::Eos)));
}

/// In a small window with large text nothing of the clip lies under what stands beside it, and text and takes are both at hand.
#[test]
fn a_small_window_with_large_text_hides_nothing() {
    let folder = TempDir::new().unwrap();
    let (mut window, _) = with_a_take(folder.path(), "The little boat sailed across the lake.");
    window.set_size(egui::vec2(1024.0 / 1.5, 700.0 / 1.5));
    window.run_steps(5);
    let screen = window.ctx.content_rect();
    assert!(screen.width() < 700.0);
    let text = window.get_by_label("Text of turn 1").rect();
    let map = window.get_by_label("Token map").rect();
    assert!(map.left() >= text.right() && map.right() <= screen.right(), "{map:?} beside {text:?}");
    assert!(window.get_by_label("Overview").rect().bottom() <= window.get_by_label("▶ Play").rect().top());
    assert!(window.get_by_label("Overview").rect().bottom() <= window.get_by_label("Candidates").rect().top());
    // Lower still, the clip and what is about it take turns.
    window.set_size(egui::vec2(1024.0 / 1.5, 420.0));
    window.run_steps(5);
    click(&mut window, "Statistics");
    assert!(window.query_by_label("Token map").is_none());
    click(&mut window, "Clip");
    assert!(window.query_by_label("Token map").is_some());
    assert!(window.get_by_label("Speak").rect().bottom() <= window.ctx.content_rect().bottom());
    click(&mut window, "Takes");
    assert!(window.query_by_label("Search takes").is_some() && window.query_by_label("Text of turn 1").is_none());
}

#[test]
fn at_rest_nothing_is_repainted() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "Yes.");
    generate(&mut window);
    wait(&mut window, "the end of the sound", |s| !s.session.player.is_playing());
    wait(&mut window, "the draft to be saved", |s| !s.session.has_unsaved_draft());
    // The cursor blinks while a text field has the focus; that is a repaint with a reason.
    window.get_by_label("Text of turn 1").focus();
    window.key_press(egui::Key::Tab);
    window.run_steps(30);
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(20));
        assert!(!window.ctx.has_requested_repaint(), "somebody asks for a repaint at rest");
    }
}

/// Pictures of the window with a take of a fixed seed; made anew with UPDATE_SNAPSHOTS=1, and then to be looked at.
#[test]
fn the_window_looks_as_it_should() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "The boat sailed.");
    let session = &mut window.state_mut().session;
    (session.settings.random_seed, session.sampling.mode, session.sampling.seed) = (false, Mode::Exact, 7);
    (session.settings.autoplay, session.sampling.precision) = (false, csm_studio::data::Dtype::Float32);
    generate(&mut window);
    // The time at which it was made is another each time.
    let id = window.state().session.inspected.take.clone().unwrap();
    window.state_mut().session.try_update_store(|store| store.update(&id, |t| t.created = 0));
    window.key_press(egui::Key::F1);
    window.run_steps(2);
    window.key_press(egui::Key::F1);
    for (theme, name) in [(Theme::Dark, "window-dark"), (Theme::Light, "window-light")] {
        let session = &mut window.state_mut().session;
        // Speed is another each time.
        (session.settings.theme, session.inspected.real_time_factor) = (theme, 0.0);
        window.run_steps(8);
        window.snapshot(name);
    }
}

/// A test of pinned takes is written, opened, and gone through by keyboard: only what was heard is answered, an answer can be taken back,
/// and a window that is closed in the middle goes on at the same trial.
#[test]
fn a_listening_test_is_done_by_keyboard() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.settings.autoplay = false;
    say(&mut window, "The boat sailed.");
    for mode in ["native", "exact"] {
        click(&mut window, mode);
        generate(&mut window);
        let id = window.state().session.inspected.take.clone().unwrap();
        window.state_mut().session.toggle_pin(&id);
    }
    for kind in [TestKind::Abx, TestKind::Preference, TestKind::Rating] {
        let file = folder.path().join(format!("{kind:?}.json"));
        let takes = window.state().session.pins.names();
        let request = TestRequest { kind, template: Template::Modes, takes, low_anchor: false };
        window.state_mut().session.make_test(request, &file);
        wait(&mut window, "the test", |_| file.with_extension("page.html").exists());
        assert!(file.with_extension("page.html").exists(), "{:?}", window.state().session.notifications.all());
        window.state_mut().session.open_file(&file);
        window.run_steps(3);
        let all = window.state().session.listening.as_ref().unwrap().run().test().trials.len();
        let answered = |w: &Window<'_>| w.state().session.listening.as_ref().unwrap().run().results().answers.len();
        for n in 0..all {
            window.key_press(egui::Key::A);
            window.key_press(egui::Key::Enter);
            window.run_steps(2);
            assert_eq!(answered(&window), n, "{kind:?}: nothing has been heard");
            for key in [egui::Key::Num1, egui::Key::Num2, egui::Key::Num3] {
                window.key_press(key);
                window.run_steps(2);
            }
            let answer = if kind == TestKind::Rating { egui::Key::Enter } else { egui::Key::A };
            if kind == TestKind::Rating {
                window.key_press(egui::Key::ArrowRight);
                window.run_steps(2);
            }
            window.key_press(answer);
            window.run_steps(2);
            assert_eq!(answered(&window), n + 1, "{kind:?}: {:?}", window.state().session.notifications.all());
            if n == 2 {
                window.key_press(egui::Key::U);
                window.run_steps(2);
                assert_eq!(answered(&window), 2);
                window.key_press(answer);
                window.run_steps(2);
                // As after a crash: what was answered is in the file, and the open trial is the next one.
                window.state_mut().session.listening = None;
                window.state_mut().session.open_file(&file);
                window.run_steps(3);
                assert_eq!(answered(&window), 3);
            }
        }
        let report = window.state().session.listening.as_ref().unwrap().report().unwrap();
        assert!(report.contains("p = "), "{report}");
        // No answer is changed by somebody who has seen what they say.
        assert!(window.query_by_label_contains("p = ").is_none());
        click(&mut window, "Show what the answers say");
        window.key_press(egui::Key::U);
        window.run_steps(2);
        assert_eq!(answered(&window), all);
        window.key_press(egui::Key::Escape);
        window.run_steps(2);
        assert!(window.state().session.listening.is_none());
        assert_eq!(window.state().session.heard, Heard::Clip);
    }
}

/// Every panel alone, with a take of a fixed seed, another one pinned, and a problem; made anew with UPDATE_SNAPSHOTS=1, and then to
/// be looked at.
#[test]
fn each_panel_looks_as_it_should() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "The boat sailed.");
    let session = &mut window.state_mut().session;
    (session.settings.random_seed, session.sampling.mode, session.sampling.seed) = (false, Mode::Exact, 7);
    (session.settings.autoplay, session.sampling.precision) = (false, csm_studio::data::Dtype::Float32);
    generate(&mut window);
    let first = window.state().session.inspected.take.clone().unwrap();
    window.state_mut().session.use_token(4, 0, 900);
    wait(&mut window, "another take", |s| s.session.library.store.takes().len() == 2 && !s.session.is_speaking());
    let second = window.state().session.inspected.take.clone().unwrap();
    let session = &mut window.state_mut().session;
    for id in [&first, &second] {
        // The time at which it was made is another each time.
        session.try_update_store(|store| store.update(id, |t| t.created = 0));
        session.toggle_pin(id);
    }
    session.inspected.real_time_factor = 0.0;
    session.select(Some((4, 0)));
    session.ask_what_if(Some(session.inspected.samplings[0]));
    session.notify("Exported to a file");
    session.measure_sounds();
    wait(&mut window, "the answer", |s| s.session.what_if.answer().is_some());
    wait(&mut window, "the measures", |s| !s.session.measured.is_running());
    let titles = window.state().panel_titles();
    let mut results = egui_kittest::SnapshotResults::new();
    for title in titles {
        let (mut draw_panel, mut prepared) = (window.state().panel_alone(title), false);
        let draw = |ui: &mut egui::Ui| {
            if std::mem::replace(&mut prepared, true) {
                draw_panel(ui);
            } else {
                Studio::prepare(ui.ctx()); // fonts are there from the next frame on
            }
        };
        let size = match title {
            "Bar" | "Transport" => [900.0, 44.0],
            "Compose" | "Takes" => [330.0, 520.0],
            // Shown only where they are open.
            "Keys" | "Commands" | "Listening test" => continue,
            "Notifications" => [360.0, 200.0],
            "Clip" => [760.0, 520.0],
            _ => [760.0, 220.0],
        };
        let mut panel = Harness::builder().with_size(size).wgpu().build_ui(draw);
        panel.run_steps(6);
        panel.snapshot(format!("panel-{}", title.to_lowercase().replace(' ', "-")));
        results.extend_harness(&mut panel);
    }
}

fn a_take(text: &str, created: u64) -> Take {
    Take {
        id: String::new(),
        name: text.into(),
        created,
        favourite: false,
        parent: None,
        measures: ClipSummary::default(),
        text: text.into(),
        speaker: 0,
        model: None,
        sampling: None,
        stop: Some(FinishReason::Eos),
        edited: false,
    }
}

/// The child of the next test: keeps takes until it is killed.
#[test]
#[ignore = "a helper, run by the test after it"]
fn keeps_takes_until_killed() {
    let folder = std::env::var_os("CSM_TAKES").expect("set by the test that runs this");
    let mut store = Store::open(Path::new(&folder)).unwrap();
    let tokens = TokenFile { frames: Codes::from_frames(vec![[1; 6]; 100]).unwrap(), ..TokenFile::default() };
    let (bytes, _) = wav::encode(&[0.1; 48_000], 24_000, &wav::WavInfo::default()).unwrap();
    for n in 0.. {
        let id = store.add(a_take("a take", n), &tokens, &bytes).unwrap();
        println!("\nkept {id}");
    }
}

#[test]
fn a_kill_at_any_moment_loses_no_kept_take() {
    let folder = TempDir::new().unwrap();
    let mut kept = Vec::new();
    for round in 0..15 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "studio::keeps_takes_until_killed", "--ignored", "--nocapture"])
            .env("CSM_TAKES", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said =
            || lines.next().map(|l| l.unwrap_or_default()).and_then(|l| Some(l.strip_prefix("kept ")?.to_owned()));
        let begun = Instant::now();
        // Another moment each time: after its first take, and some milliseconds more.
        while begun.elapsed() < Duration::from_secs(20) {
            if let Some(id) = said() {
                kept.push(id);
                break;
            }
        }
        std::thread::sleep(Duration::from_micros(700 * round * round));
        child.kill().unwrap();
        child.wait().unwrap();
        kept.extend(lines.map_while(Result::ok).filter_map(|l| Some(l.strip_prefix("kept ")?.to_owned())));
    }
    let store = Store::open(folder.path()).unwrap();
    assert!(store.damaged.is_empty(), "{:?}", store.damaged);
    assert!(kept.len() >= 15, "{}", kept.len());
    for id in &kept {
        assert!(store.get(id).is_some(), "{id} was kept and is gone");
    }
    for take in store.takes() {
        let path = store.path(&take.id);
        assert_eq!(TokenFile::read(&path.join("tokens.json"), &demo_dims()).unwrap().frames.len(), 100);
        assert_eq!(wav::read(&path.join("audio.wav"), 24_000).unwrap().len(), 48_000);
    }
}

/// A test of codebook counts: each take is decoded from some of its codebooks and from all.
#[test]
fn a_listening_test_is_made_of_codebook_counts() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.settings.autoplay = false;
    say(&mut window, "The boat sailed.");
    generate(&mut window);
    let id = window.state().session.inspected.take.clone().unwrap();
    let session = &mut window.state_mut().session;
    let templates: Vec<Template> =
        session.templates_for(std::slice::from_ref(&id)).iter().map(|(template, ..)| *template).collect();
    assert_eq!(templates, [Template::Codebooks], "one take differs from itself in nothing else");
    let file = folder.path().join("codebooks.json");
    let request =
        TestRequest { kind: TestKind::Rating, template: Template::Codebooks, takes: vec![id], low_anchor: true };
    session.make_test(request, &file);
    wait(&mut window, "the test", |_| file.exists());
    let test = ListeningTest::read(&file).unwrap();
    let expected = ["the first codebook", "the first 2 codebooks", "the first 3 codebooks", "all codebooks"];
    assert_eq!(test.conditions[..4], expected);
    assert!(test.conditions[4].contains("low anchor"));
    let sound = |n: usize| wav::decode(&test.wav(n).unwrap(), 24_000).unwrap();
    let whole = &window.state().session.inspected.audio;
    assert_eq!(sound(3).len(), whole.len());
    assert_ne!(sound(0), sound(3));
}

/// What can be measured of the sound is shown, and what the user's recogniser hears in it.
#[test]
fn the_sound_is_measured_and_recognised() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.settings.autoplay = false;
    window.state_mut().session.settings.recogniser = "sh -c 'test -s \"$0\" && echo The boat sailed away' {wav}".into();
    say(&mut window, "The boat sailed.");
    generate(&mut window);
    click(&mut window, "Sound");
    wait(&mut window, "the measures", |s| !s.session.measured.tables().is_empty());
    click(&mut window, "Recognise");
    wait(&mut window, "the recogniser", |s| s.session.measured.tables().len() > 1);
    let tables = window.state().session.measured.tables().to_vec();
    let (heading, value) = (&tables[0].1.columns()[1], &tables[0].1.rows()[0][1]);
    assert!(heading.contains("LUFS") && value.parse::<f64>().is_ok_and(|lufs| (-60.0..0.0).contains(&lufs)));
    let recognised = &tables[1].1.rows()[0][1];
    assert!(recognised.contains("33.3 % of words") && recognised.contains("[→ away]"), "{recognised}");
}

/// A voice prompt is recorded, encoded, and heard; the recording stays in a file.
#[test]
fn a_voice_prompt_is_recorded() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    click(&mut window, "● Record");
    wait(&mut window, "half a second", |s| s.session.microphone.as_ref().is_some_and(|m| m.seconds() > 0.5));
    click(&mut window, "Stop recording");
    wait(&mut window, "the voice prompt", |s| {
        s.session.conversation.prompt.as_ref().is_some_and(|prompt| prompt.frames.is_some())
    });
    let prompt = window.state().session.conversation.prompt.clone().unwrap();
    assert!(prompt.path.starts_with(folder.path().join("recordings")) && prompt.path.exists());
    assert!((0.5..3.0).contains(&(prompt.samples.len() as f64 / 24_000.0)));
    assert!(window.state().session.microphone.is_none());
}

/// Some codebooks of a clip and a file that is no take are pinned, heard beside the whole, measured, and shown as spectrograms.
#[test]
fn any_sound_is_compared() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.settings.autoplay = false;
    say(&mut window, "The boat sailed.");
    generate(&mut window);
    let id = window.state().session.inspected.take.clone().unwrap();
    click(&mut window, "Pin");
    let wave = window.state().session.library.store.path(&id).join("audio.wav");
    window.state_mut().session.hear_codebooks(Codebooks::first(2, 6));
    wait(&mut window, "two codebooks", |s| s.session.heard == Heard::SomeCodebooks);
    window.key_press(egui::Key::P);
    window.run_steps(2);
    let file = folder.path().join("other.wav");
    std::fs::copy(wave, &file).unwrap();
    window.state_mut().session.open_file(&file);
    window.run_steps(2);
    window.key_press(egui::Key::P);
    window.key_press(egui::Key::M);
    window.run_steps(2);
    let pins = window.state().session.pins.clips();
    let names: Vec<&str> = pins.iter().map(|clip| clip.name.as_str()).collect();
    assert_eq!(names[1..], ["The boat sailed., the first 2 codebooks", "other.wav"]);
    assert_eq!(pins.iter().map(|clip| clip.is_take).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(pins[0].audio.len(), pins[1].audio.len());
    assert_ne!(pins[0].audio, pins[1].audio);
    window.key_press(egui::Key::Num2);
    window.run_steps(2);
    assert_eq!(window.state().session.heard, Heard::Pinned(1));
    click(&mut window, "Sound");
    wait(&mut window, "the measures", |s| s.session.measured.tables().len() > 1 && !s.session.measured.is_running());
    let tables = window.state().session.measured.tables().to_vec();
    assert_eq!(tables[0].1.rows().len(), 4, "the clip on view and three pinned ones");
    let distance = |a: &str, b: &str| {
        let row = tables[1].1.rows().iter().find(|row| row[0].starts_with(a) && row[1].starts_with(b)).unwrap();
        row[2].parse::<f64>().unwrap()
    };
    assert!(distance("1 ", "3:") < 0.3, "the same sound in 16 bits");
    assert!(distance("1 ", "2 ") > 1.0);
    wait(&mut window, "the spectrogram", |s| s.session.inspected.spectrogram.is_some());
    click(&mut window, "Compare");
    window.state_mut().session.pinned_page().unwrap();
}

/// Draws of a take are kept on disk: after a restart they are there without the model computing them again, and equal.
#[test]
fn computed_draws_are_kept() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.settings.autoplay = false;
    say(&mut window, "The boat sailed.");
    generate(&mut window);
    let id = window.state().session.inspected.take.clone().unwrap();
    let before = window.state().session.inspected.draws();
    let kept = || std::fs::read_dir(folder.path().join("cache/draws")).map_or(0, Iterator::count);
    wait(&mut window, "the draws on disk", |_| kept() == 1);
    drop(window);
    let mut window = open(folder.path());
    window.state_mut().session.inspect(&id);
    assert!(!window.state().session.generation.is_recomputing(), "the model is not asked");
    wait(&mut window, "the draws", |s| s.session.inspected.is_analysed());
    assert!(window.state().session.generation.is_idle());
    assert_eq!(window.state().session.inspected.draws(), before);
    // What is on disk is not trusted blindly: a damaged file is computed again.
    let file = std::fs::read_dir(folder.path().join("cache/draws")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&file, b"damaged").unwrap();
    window.state_mut().session.inspect(&id);
    wait(&mut window, "the draws", |s| s.session.inspected.is_analysed());
    assert_eq!(window.state().session.inspected.draws(), before);
}

/// The window fits a screen of 1280 x 800 with its title bar when it is opened first (B18), whatever size is asked for later.
#[test]
fn the_first_window_fits_a_small_screen() {
    let [width, height] = csm_studio::studio::FIRST_SIZE;
    assert!(width <= 1_280.0 && height + 60.0 <= 800.0, "{width} x {height}");
    let folder = TempDir::new().unwrap();
    let mut window = Harness::builder()
        .with_size([width, height])
        .wgpu()
        .build_eframe(|c| Studio::new(&c.egui_ctx, paths(folder.path())).unwrap());
    wait(&mut window, "the model", |s| s.session.is_ready());
    for label in ["Waveform", "Statistics over time", "Token map", "Overview", "Speak"] {
        let rect = window.get_by_label(label).rect();
        assert!(rect.top() >= 0.0 && rect.bottom() <= height, "{label} is off screen: {rect:?}");
    }
}

/// Keys without Ctrl work when a button has the focus, as it has after Tab; those that work the button do not.
#[test]
fn keys_work_beside_a_focused_button() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.settings.autoplay = false;
    say(&mut window, "The boat sailed.");
    generate(&mut window);
    window.get_by_label("Keys").focus();
    window.run_steps(2);
    window.key_press(egui::Key::M);
    window.run_steps(2);
    assert!(window.state().session.view.spectrograms, "a letter is no button's");
    window.get_by_label("Keys").focus();
    window.run_steps(2);
    window.key_press(egui::Key::ArrowRight);
    window.run_steps(2);
    assert!(window.state().session.player.position() < 1e-6, "an arrow moves the focus, not the position");
    window.get_by_label("Text of turn 1").focus();
    window.run_steps(2);
    window.get_by_label("Text of turn 1").type_text("m");
    window.key_press(egui::Key::M);
    window.run_steps(2);
    assert!(window.state().session.view.spectrograms, "in a text it is a letter");
}
