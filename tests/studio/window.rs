//! The window itself: keys, messages, sizes, pictures.

use super::*;
use crate::support::golden::Golden;

/// A model that cannot be read ends the waiting and says why.
#[test]
fn a_failed_load_is_reported_and_not_waited_for() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let model = CheckpointSpec { path: Some(folder.path().join("empty")), ..CheckpointSpec::default() };
    let mut window = Harness::builder()
        .with_size([1280.0, 800.0])
        .build_eframe(|c| studio(&c.egui_ctx, &StudioPaths { model, ..paths(folder.path()) }));
    wait(&mut window, "the failure", |s| !s.session.notifications.all().is_empty());
    let session = &window.state().session;
    assert!(session.notifications.all()[0].error && session.notifications.all()[0].text.contains("missing"));
    assert!(session.models.failure().unwrap().contains("missing"));
    assert!(window.query_all_by_label("No model").count() > 0);
    // It is no dead end.
    click(&mut window, "Use the demo voice");
    wait(&mut window, "the demo voice", |s| s.session.models.is_ready());
    say(&mut window, "Yes.");
    generate(&mut window);
}

/// Opening another model keeps the take that is being made, and what the prompt's recording says; the prompt is encoded again.
#[test]
fn another_model_is_opened_once_the_take_is_kept() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    let (bytes, _) = wav::encode(&[0.2; 24_000], 24_000, &wav::WavInfo::default()).unwrap();
    let recording = folder.path().join("voice.wav");
    std::fs::write(&recording, bytes).unwrap();
    window.state_mut().session.run(ComposerCommand::SetVoicePrompt(recording));
    let encoded =
        |s: &Studio| s.session.composer.conversation.prompt.as_ref().is_some_and(|prompt| prompt.codes.is_some());
    wait(&mut window, "the prompt", encoded);
    window.state_mut().session.composer.conversation.prompt.as_mut().unwrap().text = "Something.".into();
    say(&mut window, "This is a long sentence that nobody wants to hear to its very end, not even today.");
    click(&mut window, "Speak");
    wait(&mut window, "some frames", |s| s.session.inspector.current.clip.codes.len() >= 3);
    window.state_mut().session.run(ModelsCommand::Open(CheckpointSpec::default()));
    wait(&mut window, "the kept take", |s| s.session.library.store.takes().len() == 1 && !s.session.models.is_ready());
    settle(&mut window);
    assert_eq!(window.state().session.library.store.takes()[0].stop, Some(FinishReason::Cancelled));
    wait(&mut window, "the model", |s| s.session.models.is_ready());
    wait(&mut window, "the prompt once more", encoded);
    assert_eq!(window.state().session.composer.conversation.prompt.as_ref().unwrap().text, "Something.");
}

/// Escape closes a list that is open, and only the next one stops speaking.
#[test]
fn escape_closes_before_it_stops() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "This is a long sentence that nobody wants to hear to its very end, not even today.");
    click(&mut window, "Speak");
    wait(&mut window, "some frames", |s| s.session.inspector.current.clip.codes.len() >= 2);
    click(&mut window, "Settings");
    window.key_press(egui::Key::Escape);
    window.run_steps(3);
    assert!(window.state().session.is_speaking());
    window.key_press(egui::Key::Escape);
    wait(&mut window, "the end", |s| !s.session.is_speaking());
    settle(&mut window);
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
    assert_eq!(window.query_all_by_label("The same trouble (×3)").count(), 1);
    click(&mut window, "Dismiss notification 1");
    assert_eq!(window.state().session.notifications.all().len(), 1);
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
    assert_eq!(window.state().session.preferences.settings.theme, Theme::Dark);
    assert!(window.query_by_label("Search commands").is_none(), "it closes");
    window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::K);
    window.run_steps(2);
    window.key_press(egui::Key::Escape);
    window.run_steps(2);
    assert!(window.query_by_label("Search commands").is_none());
}

/// However slow the frames are, what is typed after a command's key goes where the command puts the focus (W9).
#[test]
fn what_is_typed_after_a_key_is_not_text_to_speak() {
    let typed = |text: &str| egui::Event::Text(text.into());
    let key = |key: egui::Key, modifiers: egui::Modifiers| egui::Event::Key {
        key,
        physical_key: None,
        pressed: true,
        repeat: false,
        modifiers,
    };
    let palette = key(egui::Key::K, egui::Modifiers::COMMAND);
    let [enter, tab] = [egui::Key::Enter, egui::Key::Tab].map(|name| key(name, egui::Modifiers::NONE));
    // All in one slow frame, or the frame ends somewhere in between.
    for frames in [
        vec![vec![palette.clone(), typed("dark theme"), enter.clone()]],
        vec![vec![palette.clone()], vec![typed("dark theme"), enter.clone()]],
        vec![vec![palette.clone(), typed("dark")], vec![typed(" theme")], vec![enter.clone()]],
        vec![vec![palette, typed("dark theme"), enter, tab.clone(), tab]],
    ] {
        let folder = TempDir::new().unwrap();
        let mut window = open(folder.path());
        window.get_by_label("Text of turn 1").focus();
        window.run_steps(2);
        for events in frames {
            window.input_mut().events.extend(events);
            window.step();
        }
        window.run_steps(12);
        let session = &window.state().session;
        assert_eq!(session.composer.conversation.turns()[0].text, "");
        assert_eq!(session.preferences.settings.theme, Theme::Dark);
        // A new turn's text, and a search.
        window.input_mut().events.extend([key(egui::Key::T, egui::Modifiers::COMMAND), typed("Second.")]);
        window.run_steps(6);
        window.input_mut().events.push(key(egui::Key::F, egui::Modifiers::COMMAND));
        window.step();
        window.input_mut().events.push(typed("boat"));
        window.run_steps(4);
        let texts = window.state().session.composer.conversation.turns().iter().map(|turn| turn.text.as_str());
        assert_eq!(texts.collect::<Vec<_>>(), ["", "Second."]);
        assert_eq!(window.get_by_label("Search takes").value().as_deref(), Some("boat"));
    }
}

/// In a small window with large text nothing of the clip is covered, and text and takes are both within reach.
#[test]
fn a_small_window_with_large_text_hides_nothing() {
    let folder = TempDir::new().unwrap();
    let (mut window, _) = with_a_take(folder.path(), "The little boat sailed across the lake.");
    window.set_size(egui::vec2(1024.0 / 1.25, 700.0 / 1.25));
    window.run_steps(5);
    let screen = window.ctx.content_rect();
    assert!(screen.width() < 860.0);
    let text = window.get_by_label("Text of turn 1").rect();
    let map = window.get_by_label("Token map").rect();
    assert!(map.left() >= text.right() && map.right() <= screen.right(), "{map:?} and {text:?}");
    assert!(window.get_by_label("Overview").rect().bottom() <= window.get_by_label("Play").rect().top());
    assert!(window.get_by_label("Overview").rect().bottom() <= window.get_by_label("Draw").rect().top());
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
    wait(&mut window, "the end of the sound", |s| !s.session.monitor.player.is_playing());
    wait(&mut window, "the draft to be saved", |s| !s.session.composer.has_unsaved_draft());
    // The cursor blinks while a text field has the focus; that is a repaint with a reason.
    window.get_by_label("Text of turn 1").focus();
    window.key_press(egui::Key::Tab);
    window.run_steps(30);
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(20));
        assert!(!window.ctx.has_requested_repaint(), "somebody asks for a repaint at rest");
    }
}

/// Pictures of the window with a take of a fixed seed; made again with UPDATE_SNAPSHOTS=1, and then to be looked at.
#[test]
fn the_window_looks_as_it_should() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "The boat sailed.");
    let session = &mut window.state_mut().session;
    (session.preferences.settings.random_seed, session.composer.sampling.mode, session.composer.sampling.seed) =
        (false, Mode::Exact, 7);
    (session.preferences.settings.autoplay, session.composer.sampling.precision) =
        (false, csm_studio::data::Dtype::Float32);
    generate(&mut window);
    // The time at which it was made is another each time.
    let id = window.state().session.inspector.current.take.clone().unwrap();
    window.state_mut().session.library.store.update(&id, |t| t.created = 0).unwrap();
    window.key_press(egui::Key::F1);
    window.run_steps(2);
    window.key_press(egui::Key::F1);
    for (theme, name) in [(Theme::Dark, "window-dark"), (Theme::Light, "window-light")] {
        let session = &mut window.state_mut().session;
        // Speed is another each time.
        (session.preferences.settings.theme, session.inspector.current.real_time_factor) = (theme, 0.0);
        window.run_steps(8);
        // The pictures are those of Mesa's software renderer; elsewhere the window is only drawn.
        if cfg!(target_os = "linux") {
            window.snapshot(name);
        }
    }
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
        .build_eframe(|c| studio(&c.egui_ctx, &paths(folder.path())));
    wait(&mut window, "the model", |s| s.session.models.is_ready());
    window.state_mut().session.preferences.settings.autoplay = false;
    say(&mut window, "The boat sailed.");
    generate(&mut window);
    for label in ["Waveform", "Probabilities over time", "Statistics over time", "Token map", "Overview", "Speak"] {
        let rect = window.get_by_label(label).rect();
        assert!(rect.top() >= 0.0 && rect.bottom() <= height, "{label} is off screen: {rect:?}");
    }
}

/// Keys without Ctrl work when a button has the focus, as it has after Tab; those that work the button do not.
#[test]
fn keys_work_beside_a_focused_button() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.preferences.settings.autoplay = false;
    say(&mut window, "The boat sailed.");
    generate(&mut window);
    window.get_by_label("Keys").focus();
    window.run_steps(2);
    window.key_press(egui::Key::M);
    window.run_steps(2);
    assert!(window.state().session.inspector.view.spectrograms, "a letter is no button's");
    window.get_by_label("Keys").focus();
    window.run_steps(2);
    window.key_press(egui::Key::ArrowRight);
    window.run_steps(2);
    assert!(window.state().session.monitor.player.position() < 1e-6, "an arrow moves the focus, not the position");
    window.get_by_label("Text of turn 1").focus();
    window.run_steps(2);
    window.get_by_label("Text of turn 1").type_text("m");
    window.key_press(egui::Key::M);
    window.run_steps(2);
    assert!(window.state().session.inspector.view.spectrograms, "in a text it is a letter");
}

/// The close button, as the system reports it for one frame; the commands that the window gives in answer.
fn close(window: &mut Window<'_>) -> Vec<egui::ViewportCommand> {
    let root = window.input_mut().viewports.entry(egui::ViewportId::ROOT).or_default();
    root.events.push(egui::ViewportEvent::Close);
    window.step();
    window.input_mut().viewports.entry(egui::ViewportId::ROOT).or_default().events.clear();
    let commands = commands_of_window(window);
    window.run_steps(3);
    commands
}

fn commands_of_window(window: &Window<'_>) -> Vec<egui::ViewportCommand> {
    window.output().viewport_output.values().flat_map(|output| output.commands.clone()).collect()
}

#[test]
fn the_window_asks_before_it_ends_a_take() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    assert!(!close(&mut window).contains(&egui::ViewportCommand::CancelClose), "nothing is being made");
    wait(&mut window, "the model", |s| s.session.models.is_ready());
    say(&mut window, &"The little boat sailed across the lake. ".repeat(20));
    click(&mut window, "Speak");
    wait(&mut window, "a frame", |s| s.session.is_speaking() && !s.session.inspector.current.clip.codes.is_empty());
    assert!(close(&mut window).contains(&egui::ViewportCommand::CancelClose));
    click(&mut window, "Keep open");
    assert!(window.state().session.is_speaking());
    assert!(close(&mut window).contains(&egui::ViewportCommand::CancelClose));
    window.get_by_label("Close").click();
    window.step();
    wait(&mut window, "the take to be kept", |s| !s.session.is_speaking() && !s.session.works_in_background());
    let takes = window.state().session.library.store.takes();
    assert!(takes.iter().any(|take| take.stop == Some(FinishReason::Cancelled)), "what was made until then is kept");
    assert!(!close(&mut window).contains(&egui::ViewportCommand::CancelClose), "it has been confirmed");
}

/// No command ends the window without a clip: each runs alone, and frames are drawn after it.
#[test]
fn every_command_is_safe_in_an_empty_window() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    for command in csm_studio::studio::COMMANDS {
        // File dialogs and folders belong to the desktop.
        if command.title.ends_with('…') || command.title.starts_with("Show the folder") {
            continue;
        }
        if let Some(run) = (command.command)(&window.state().session) {
            window.state_mut().session.run(run);
        }
        window.run_steps(2);
    }
    settle(&mut window);
}

/// Escape ends what is made; once nothing is made, it ends the sound.
#[test]
fn escape_ends_the_sound_too() {
    let folder = TempDir::new().unwrap();
    let (mut window, _) = with_a_take(folder.path(), "The little boat sailed across the lake.");
    click(&mut window, "Play");
    wait(&mut window, "the sound", |s| s.session.monitor.player.is_playing());
    window.key_press(egui::Key::Escape);
    window.run_steps(3);
    assert!(!window.state().session.monitor.player.is_playing());
}

/// The draw that is shown is the one under the playhead, until a frame is selected.
#[test]
fn the_draw_follows_the_playhead() {
    use csm_studio::studio::inspector::{Followed, InspectorCommand};
    use csm_studio::studio::monitor::MonitorCommand;
    let folder = TempDir::new().unwrap();
    let (mut window, _) = with_a_take(folder.path(), "The little boat sailed across the lake.");
    let session = &mut window.state_mut().session;
    session.run(MonitorCommand::Seek(0.81));
    assert_eq!(session.draw(), Some((Followed::Playhead, (10, 0))));
    session.run(InspectorCommand::Select(Some((3, 2))));
    assert_eq!(session.draw(), Some((Followed::Selected, (3, 2))));
    window.run_steps(3);
    click(&mut window, "Follow the playhead");
    assert!(matches!(window.state().session.draw(), Some((Followed::Playhead, (_, 2)))));
}

/// A window begins with the last one's state: the voice prompt with its entries, and the current take. Another window that is open at the
/// same time has its own draft.
#[test]
fn a_window_begins_where_the_last_one_ended() {
    let folder = TempDir::new().unwrap();
    let (mut window, _) = with_a_take(folder.path(), "Good morning.");
    let take = window.state().session.inspector.current.take.clone();
    let wave = folder.path().join("voice.wav");
    std::fs::copy(window.state().session.library.store.path(take.as_ref().unwrap()).join("audio.wav"), &wave).unwrap();
    window.state_mut().session.run(ComposerCommand::SetVoicePrompt(wave.clone()));
    wait(&mut window, "the prompt", |s| {
        s.session.composer.conversation.prompt.as_ref().is_some_and(|p| p.codes.is_some())
    });
    window.state_mut().session.run(ComposerCommand::EditVoicePrompt { text: "Good morning.".into(), speaker: 0 });
    window.run_steps(2);
    let mut other = open(folder.path());
    say(&mut other, "From the second window.");
    other.state_mut().session.close();
    let first = window.state().session.composer.conversation.turns()[0].text.clone();
    window.state_mut().session.close();
    drop((window, other));

    let mut again = open(folder.path());
    wait(&mut again, "the prompt", |s| {
        s.session.composer.conversation.prompt.as_ref().is_some_and(|p| p.codes.is_some())
    });
    settle(&mut again);
    let session = &again.state().session;
    let prompt = session.composer.conversation.prompt.as_ref().unwrap();
    assert_eq!((&prompt.path, prompt.text.as_str()), (&wave, "Good morning."));
    assert_eq!(session.inspector.current.take, take);
    assert!(first == "Good morning." && session.composer.conversation.turns()[0].text == first);
    let second = open(folder.path());
    assert_eq!(second.state().session.composer.conversation.turns()[0].text, "From the second window.");
}

/// A message about what failed goes once it works.
#[test]
fn an_error_goes_when_its_cause_works() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.preferences.settings.autoplay = false;
    let nowhere = CheckpointSpec { path: Some(folder.path().join("nowhere")), ..CheckpointSpec::default() };
    window.state_mut().session.run(ModelsCommand::Open(nowhere));
    wait(&mut window, "the failure", |s| s.session.notifications.all().iter().any(|n| n.error));
    window.state_mut().session.run(ModelsCommand::Open(CheckpointSpec::default()));
    wait(&mut window, "the model", |s| s.session.models.is_ready());
    window.run_steps(2);
    assert!(!window.state().session.notifications.all().iter().any(|n| n.error));
}

/// Tokens are selected by keys, from the one whose draw is shown on.
#[test]
fn tokens_are_selected_by_keys() {
    let folder = TempDir::new().unwrap();
    let (mut window, _) = with_a_take(folder.path(), "Good morning.");
    focus_nothing(&mut window);
    window.state_mut().session.run(InspectorCommand::Select(Some((3, 1))));
    let mut press = |key| {
        window.key_press_modifiers(egui::Modifiers::ALT, key);
        window.run_steps(3);
        window.state().session.inspector.view.cell
    };
    assert_eq!(press(egui::Key::ArrowRight), Some((4, 1)));
    assert_eq!(press(egui::Key::ArrowDown), Some((4, 2)));
    assert_eq!(press(egui::Key::ArrowLeft), Some((3, 2)));
    assert_eq!((press(egui::Key::ArrowUp), press(egui::Key::ArrowUp)), (Some((3, 1)), Some((3, 0))));
    assert_eq!(press(egui::Key::ArrowUp), Some((3, 0)), "there is none above");
}

/// F6 goes through the panels, whatever has the focus.
#[test]
fn a_key_moves_between_panels() {
    let folder = TempDir::new().unwrap();
    let (mut window, _) = with_a_take(folder.path(), "Good morning.");
    window.get_by_label("Text of turn 1").focus();
    window.run_steps(2);
    let mut seen = Vec::new();
    let text = window.ctx.memory(|memory| memory.focused()).unwrap();
    for _ in 0..7 {
        window.key_press(egui::Key::F6);
        window.run_steps(3);
        seen.push(window.ctx.memory(|memory| memory.focused()).unwrap());
    }
    assert_ne!(seen[0], text, "it leaves a text too");
    assert_eq!(seen[6], seen[0], "after the last comes the first");
    let different: std::collections::HashSet<_> = seen[..6].iter().collect();
    assert_eq!(different.len(), 6);
}

/// Where rows are too low for buttons, a menu has them.
#[test]
fn many_codebooks_have_a_menu() {
    let (folder, model) = (TempDir::new().unwrap(), Golden::read("twin").build());
    let spec = CheckpointSpec { path: Some(model.path().to_owned()), ..CheckpointSpec::default() };
    let paths = StudioPaths { model: spec, ..paths(folder.path()) };
    let mut window = Harness::builder().with_size([1280.0, 720.0]).wgpu().build_eframe(|c| studio(&c.egui_ctx, &paths));
    wait(&mut window, "the model", |s| s.session.models.is_ready());
    window.state_mut().session.preferences.settings.max_seconds = 1.0;
    say(&mut window, "Hello there.");
    click(&mut window, "Speak");
    wait(&mut window, "the take", |s| s.session.library.store.takes().len() == 1 && !s.session.is_speaking());
    assert!(window.query_by_label("Mute codebook 0").is_none());
    click(&mut window, "Mute and solo codebooks");
    window.run_steps(3);
    let (map, overview) = (window.get_by_label("Token map").rect(), window.get_by_label("Overview").rect());
    assert!(overview.top() >= map.bottom(), "the menu's button moves no lane");
    click(&mut window, "Mute codebook 31");
    window.run_steps(3);
    assert!(window.state().session.monitor.mixer.is_muted(31));
    let size = window.get_by_label("Mute codebook 30").rect().size();
    assert!(size.x >= 24.0 && size.y >= 24.0, "{size:?}");
}
