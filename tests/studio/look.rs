//! What a look at the window found (the faults W15 to W25 of its review), so that it does not come back.

use super::*;
use crate::support::golden::Golden;

/// Takes that are equal to the token say so, in full, in the narrowest window (W17).
#[test]
fn equal_takes_are_called_identical() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    let settings = &mut window.state_mut().session.preferences.settings;
    (settings.autoplay, settings.random_seed) = (false, false);
    say(&mut window, "The boat sailed.");
    for _ in 0..2 {
        generate(&mut window);
        pin_current(&mut window);
    }
    click(&mut window, "Compare");
    settle(&mut window);
    window.set_size(egui::vec2(1024.0, 700.0));
    window.run_steps(3);
    let verdict = window.get_by_label("= identical, token for token").rect();
    assert!(verdict.right() <= window.ctx.content_rect().right(), "{verdict:?}");
}

/// Nothing moves because a seed has nine digits, a part is selected, or there is another turn (W18).
#[test]
fn controls_stay_where_they_are() {
    let folder = TempDir::new().unwrap();
    let (mut window, length) = with_a_take(folder.path(), "The boat sailed.");
    let places = |window: &Window<'_>| {
        ["Speak", "Temperature", "Play", "Volume"].map(|name| window.get_all_by_label(name).next().unwrap().rect())
    };
    let before = places(&window);
    window.state_mut().session.composer.sampling.seed = 987_654_321;
    window.run_steps(3);
    assert_eq!(places(&window), before, "a long seed");
    let (from, to) = (in_lane(&window, "Waveform", 0.2, length), in_lane(&window, "Waveform", 0.6, length));
    press(&mut window, from, to);
    wait_for_silence(&mut window);
    let after = places(&window);
    assert_eq!(after[..3], before[..3], "a selected part");
    click(&mut window, "Add turn");
    let after = places(&window);
    assert_eq!((after[0], after[2]), (before[0], before[2]), "another turn");
}

/// Tabs without room are in a menu, whose title is the tab that is shown.
#[test]
fn tabs_without_room_are_in_a_menu() {
    let folder = TempDir::new().unwrap();
    let (mut window, _) = with_a_take(folder.path(), "The boat sailed.");
    assert!(window.query_by_label("More panels").is_none());
    window.set_size(egui::vec2(960.0, 600.0));
    window.run_steps(3);
    assert!(window.query_by_label("Compare").is_none());
    click(&mut window, "More panels");
    click(&mut window, "Compare");
    assert!(window.query_by_label_contains("Pin takes to compare them").is_some());
    let (tabs, draw) = (window.get_by_label("More panels").rect(), window.get_by_label("Draw").rect());
    assert_eq!(tabs.center().y, draw.center().y, "one row");
    assert!(window.get_by_label("Overview").rect().bottom() <= draw.top());
}

/// In a narrow panel a problem keeps its button, and its hint is read in two lines.
#[test]
fn problems_fit_a_narrow_panel() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    let settings = &mut window.state_mut().session.preferences.settings;
    (settings.autoplay, settings.random_seed) = (false, false);
    say(&mut window, "The little boat sailed across the quiet lake, and nobody said a word.");
    generate(&mut window);
    click(&mut window, "Problems");
    window.set_size(egui::vec2(960.0, 600.0));
    window.run_steps(3);
    let takes = window.get_by_label("Search takes").rect().left();
    let buttons: Vec<_> = window.query_all_by_label_contains("Regenerate from before").map(|b| b.rect()).collect();
    assert!(!buttons.is_empty() && buttons.iter().all(|rect| rect.right() < takes), "{buttons:?}, takes at {takes}");
}

/// Codes without labels have no column of dashes (W24).
#[test]
fn codes_without_labels_have_no_column_for_them() {
    let (folder, model) = (TempDir::new().unwrap(), Golden::read("twin").build());
    let spec = CheckpointSpec { path: Some(model.path().to_owned()), ..CheckpointSpec::default() };
    let paths = StudioPaths { model: spec, ..paths(folder.path()) };
    let mut window = Harness::builder().with_size([1280.0, 800.0]).wgpu().build_eframe(|c| studio(&c.egui_ctx, &paths));
    wait(&mut window, "the model", |s| s.session.models.is_ready());
    window.state_mut().session.preferences.settings.max_seconds = 0.5;
    say(&mut window, "Hello there.");
    generate(&mut window);
    click(&mut window, "Draw");
    assert!(window.query_all_by_label_contains("others").next().is_some(), "the draw is shown");
    assert_eq!(window.query_all_by_label("–").count(), 0);
}

/// Messages show characters, not their code points (W25).
#[test]
fn messages_show_characters_as_they_are() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.preferences.settings.autoplay = false;
    say(&mut window, "Hello there\u{7}, \u{301} friend \u{394}.");
    generate(&mut window);
    let messages = window.state().session.notifications.all();
    assert!(!messages.is_empty(), "what is not read is said");
    assert!(messages.iter().all(|message| !message.text.contains("\\u{")), "{messages:?}");
}

/// All keys are read without scrolling in a window of the usual size (W19).
#[test]
fn all_keys_are_seen_at_once() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    focus_nothing(&mut window);
    window.key_press(egui::Key::F1);
    window.run_steps(4);
    let screen = window.ctx.content_rect();
    for text in ["Speak as a reply to the turns before", "Next or previous widget"] {
        let rect = window.get_all_by_label(text).last().unwrap().rect();
        assert!(screen.contains_rect(rect), "{text} is at {rect:?}");
    }
}

/// Where there is room, a take has its whole text as its name (W16).
#[test]
fn a_take_is_called_by_its_whole_text() {
    let folder = TempDir::new().unwrap();
    let text = "The little boat sailed across the quiet lake, and nobody said a word.";
    let (mut window, _) = with_a_take(folder.path(), text);
    let take = window.state().session.library.store.takes()[0].clone();
    assert!(take.name.ends_with('…') && take.title() == text);
    window.set_size(egui::vec2(1920.0, 1000.0));
    window.run_steps(3);
    let widest = window.get_all_by_label(text).map(|label| label.rect().width()).fold(0.0, f32::max);
    assert!(widest > 400.0, "{widest}");
    window.state_mut().session.run(LibraryCommand::Rename { take: take.id, name: "Boat…".into() });
    settle(&mut window);
    assert_eq!(window.state().session.library.store.takes()[0].title(), "Boat…");
}
