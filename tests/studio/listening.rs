//! A clip is heard, looked at and asked about.

use csm_studio::studio::inspector::CurrentClip;

use super::*;

/// Every lane selects the same frame at the same place and plays the selection; Play continues from there.
#[test]
fn a_click_in_any_lane_is_heard_and_play_goes_on_there() {
    let folder = TempDir::new().unwrap();
    let (mut window, length) = with_a_take(folder.path(), "Good morning.");
    let frame = (length / 2.0 / 0.08) as usize;
    for lane in ["Ruler", "Waveform", "Statistics over time", "Token map"] {
        let at = in_lane(&window, lane, length / 2.0, length);
        press(&mut window, at, at);
        let (from, to) = window.state().session.monitor.player.region().unwrap();
        assert!((from - 0.08 * frame as f64).abs() < 1e-6 && (to - from - 0.08).abs() < 1e-6, "{lane}: {from}, {to}");
        wait_for_silence(&mut window);
    }
    click(&mut window, "Play");
    wait(&mut window, "the sound to move", |s| s.session.monitor.player.position() > length / 2.0 + 0.1);
}

/// A part that is dragged is played to its end and no further; L has it played over and over.
#[test]
fn a_part_is_heard_and_looped() {
    let folder = TempDir::new().unwrap();
    let (mut window, length) = with_a_take(folder.path(), "The little boat sailed across the lake.");
    let (from, to) = (in_lane(&window, "Waveform", 0.5, length), in_lane(&window, "Waveform", 0.9, length));
    press(&mut window, from, to);
    let (a, b) = window.state().session.monitor.player.region().unwrap();
    assert!((a - 0.5).abs() < 0.02 && (b - 0.9).abs() < 0.02, "{a} {b}");
    wait_for_silence(&mut window);
    assert!((window.state().session.monitor.player.position() - a).abs() < 1e-3);
    window.key_press(egui::Key::L);
    window.run_steps(3);
    std::thread::sleep(Duration::from_millis(900));
    let player = &window.state().session.monitor.player;
    assert!(player.is_playing() && player.is_looping() && (a..=b).contains(&player.position()));
    click(&mut window, "Clear the selection");
    assert_eq!(window.state().session.monitor.player.region(), None);
}

/// Another candidate is heard in its place without a take of it, and used for one that is the same up to there.
#[test]
fn another_token_is_heard_and_used() {
    let folder = TempDir::new().unwrap();
    let (mut window, length) = with_a_take(folder.path(), "The little boat sailed across the lake.");
    let before = window.state().session.inspector.current.clip.codes.clone();
    let frame = (0..before.len())
        .find(|t| window.state().session.inspector.current.steps[*t].stats[0][Stat::Entropy] > 1.0)
        .unwrap();
    let at = in_lane(&window, "Token map", 0.08 * (frame as f64 + 0.5), length);
    press(&mut window, at, at);
    wait_for_silence(&mut window);
    let clip = &window.state().session.inspector.current;
    let best = clip.steps[frame].candidates(0, before.frame(frame)[0], 2);
    let token = best.iter().find(|candidate| !candidate.taken).unwrap().id;
    click(&mut window, &format!("Play token {token}"));
    wait(&mut window, "the other token", |s| s.session.monitor.source == PlaybackSource::Audition);
    wait_for_silence(&mut window);
    assert_eq!((takes(&window), &window.state().session.inspector.current.clip.codes), (1, &before), "nothing is kept");
    click(&mut window, "Play");
    assert!(
        window.state().session.monitor.source == PlaybackSource::CurrentClip
            && window.state().session.monitor.player.seconds() == length
    );
    click(&mut window, &format!("Use token {token}"));
    wait(&mut window, "the new take", |s| s.session.library.store.takes().len() == 2 && !s.session.is_speaking());
    let s = &window.state().session;
    let after = &s.inspector.current.clip.codes;
    assert_eq!(after.prefix(frame), before.prefix(frame));
    assert_eq!(after.frame(frame)[0], token);
    let take = s.library.store.get(s.inspector.current.take.as_ref().unwrap()).unwrap();
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
    let from = window.state().session.monitor.player.region().unwrap().0;
    assert!(from > length * 0.5 && from < length * 0.65, "{from} of {length}");
    wait_for_silence(&mut window);
}

/// The last frame can be heard by itself as well.
#[test]
fn the_last_frame_is_heard_by_itself() {
    let folder = TempDir::new().unwrap();
    let (mut window, length) = with_a_take(folder.path(), "Good morning.");
    let frames = window.state().session.inspector.current.clip.codes.len();
    let cell = in_lane(&window, "Token map", 0.08 * (frames as f64 - 0.5), length);
    press(&mut window, cell, cell);
    let (from, to) = window.state().session.monitor.player.region().unwrap();
    assert!((to - length).abs() < 1e-6 && (to - from - 0.08).abs() < 1e-6, "{from}, {to} of {length}");
    wait_for_silence(&mut window);
    assert!((window.state().session.monitor.player.position() - from).abs() < 1e-3);
}

/// A muted codebook is left out of the sound at once; the badge restores the clip.
#[test]
fn codebooks_are_muted_and_heard() {
    let folder = TempDir::new().unwrap();
    let (mut window, length) = with_a_take(folder.path(), "The little boat sailed across the lake.");
    click(&mut window, "Mute codebook 1");
    wait(&mut window, "the decoding", |s| s.session.monitor.source == PlaybackSource::MaskedClip);
    let player = &window.state().session.monitor.player;
    assert!((player.seconds() - length).abs() < 1e-6);
    assert!(window.query_by_label("Mute codebook 1").is_some());
    click(&mut window, "Switch to the current clip");
    assert_eq!(window.state().session.monitor.source, PlaybackSource::CurrentClip);
    // What is no longer wanted is not played when it is decoded.
    let session = &mut window.state_mut().session;
    session.run(MonitorCommand::SetMixer(CodebookMixer::first(1, 6)));
    session.run(MonitorCommand::SetMixer(CodebookMixer::default()));
    std::thread::sleep(Duration::from_millis(300));
    window.run_steps(5);
    assert_eq!(window.state().session.monitor.source, PlaybackSource::CurrentClip);
    click(&mut window, "Solo codebook 0");
    wait(&mut window, "the decoding", |s| s.session.monitor.source == PlaybackSource::MaskedClip);
    assert!(!window.state().session.monitor.mixer.plays(1) && window.state().session.monitor.mixer.plays(0));
}

/// *What if* answers without the model: a greedy draw flips what was not the most likely token, and the
/// take's own settings flip nothing.
#[test]
fn other_settings_are_asked_about() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.preferences.settings.autoplay = false;
    say(&mut window, "The little boat sailed across the lake.");
    click(&mut window, "exact");
    generate(&mut window);
    click(&mut window, "What if");
    click(&mut window, "Draw again");
    wait(&mut window, "the answer", |s| s.session.inspector.what_if.answer().is_some());
    let own = window.state().session.inspector.what_if.answer().unwrap().clone();
    assert_eq!((own.flips, own.first), (0, None), "the same noise and settings draw the same");
    let mut greedy = window.state().session.inspector.current.steps[0].sampling;
    (greedy.codebook0.temperature, greedy.depth.temperature) = (0.0, 0.0);
    window.state_mut().session.run(InspectorCommand::AskWhatIf(Some(greedy)));
    wait(&mut window, "the answer", |s| !s.session.inspector.what_if.is_running());
    let s = &window.state().session;
    let answer = s.inspector.what_if.answer().unwrap();
    let (t, k) = answer.first.unwrap();
    assert!(s.inspector.current.steps[t].stats[k][Stat::Rank] > 1.0, "a token that was not the most likely one");
    // It is heard at the same place, until the question changes.
    let (tokens, clip) = (answer.tokens.clone(), s.inspector.current.clip.clone());
    click(&mut window, "Listen to these tokens");
    wait(&mut window, "the sound", |s| s.session.monitor.source == PlaybackSource::WhatIf);
    assert_eq!(tokens.len(), clip.codes.len());
    assert!((window.state().session.monitor.player.seconds() - clip.seconds()).abs() < 0.1);
    window.state_mut().session.run(InspectorCommand::AskWhatIf(None));
    wait(&mut window, "the clip", |s| s.session.monitor.source == PlaybackSource::CurrentClip);
    window.state_mut().session.run(InspectorCommand::AskWhatIf(Some(greedy)));
    wait(&mut window, "the answer", |s| !s.session.inspector.what_if.is_running());
    window.run_steps(3);
    click(&mut window, "Regenerate from there");
    wait(&mut window, "the new take", |s| s.session.library.store.takes().len() == 2 && !s.session.is_speaking());
    let s = &window.state().session;
    assert_eq!(
        s.inspector.current.clip.codes.frame(t)[k],
        answer_token(&s.inspector.current, t, k),
        "what was told came true"
    );
}

fn answer_token(current: &CurrentClip, t: usize, k: usize) -> u32 {
    csm_studio::analysis::top_ids(current.steps[t].logits.row(k), 1)[0] as u32
}

/// The key of the next problem selects one and plays it; the list has it.
#[test]
fn problems_are_found_by_key() {
    let folder = TempDir::new().unwrap();
    let (mut window, _) = with_a_take(folder.path(), "The little boat sailed across the lake.");
    // A token that nothing could have drawn is one for certain.
    window.state_mut().session.run(InspectorCommand::UseToken { frame: 7, codebook: 0, token: 900 });
    wait(&mut window, "the new take", |s| s.session.library.store.takes().len() == 2 && !s.session.is_speaking());
    focus_nothing(&mut window);
    let frames: Vec<usize> = window
        .state()
        .session
        .inspector
        .current
        .issues(demo_dims().frame_samples())
        .iter()
        .map(|p| p.frames().start)
        .collect();
    assert!(frames.contains(&7), "{frames:?}");
    for frame in &frames {
        window.key_press(egui::Key::N);
        window.run_steps(2);
        assert_eq!(window.state().session.inspector.view.cell.unwrap().0, *frame);
        assert!(window.state().session.monitor.player.region().is_some());
    }
    window.key_press_modifiers(egui::Modifiers::SHIFT, egui::Key::N);
    window.run_steps(2);
    assert!(frames.len() < 2 || window.state().session.inspector.view.cell.unwrap().0 == frames[frames.len() - 2]);
    assert!(window.query_all_by_label_contains("Regenerate from before").count() > 0);
}

/// Draws of a take are kept on disk: after a restart they are there without the model computing them again, and equal.
#[test]
fn computed_draws_are_kept() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.preferences.settings.autoplay = false;
    say(&mut window, "The boat sailed.");
    generate(&mut window);
    let id = window.state().session.inspector.current.take.clone().unwrap();
    let before = window.state().session.inspector.current.steps.clone();
    assert!(before.end.is_some_and(|p| p > 0.0 && p < 1.0), "the model ended it, with {:?}", before.end);
    let kept = || std::fs::read_dir(folder.path().join("cache/draws")).map_or(0, Iterator::count);
    wait(&mut window, "the draws on disk", |_| kept() == 1);
    drop(window);
    let mut window = open(folder.path());
    window.state_mut().session.run(InspectorCommand::View(id.clone()));
    settle(&mut window);
    assert!(!window.state().session.is_recomputing(), "the model is not asked");
    assert!(window.state().session.inspector.current.is_analysed());
    assert!(window.state().session.is_idle());
    assert_eq!(window.state().session.inspector.current.steps, before);
    // What is on disk is not trusted blindly: a damaged file is computed again.
    let file = std::fs::read_dir(folder.path().join("cache/draws")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&file, b"damaged").unwrap();
    window.state_mut().session.run(InspectorCommand::View(id));
    settle(&mut window);
    wait(&mut window, "the draws", |s| s.session.inspector.current.is_analysed() && s.session.is_idle());
    assert_eq!(window.state().session.inspector.current.steps, before);
}
