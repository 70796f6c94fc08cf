//! A clip is heard, looked at and asked about.

use super::*;

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
    assert!(before.end.is_some_and(|p| p > 0.0 && p < 1.0), "the model ended it, with {:?}", before.end);
    let kept = || std::fs::read_dir(folder.path().join("cache/draws")).map_or(0, Iterator::count);
    wait(&mut window, "the draws on disk", |_| kept() == 1);
    drop(window);
    let mut window = open(folder.path());
    window.state_mut().session.inspect(&id);
    settle(&mut window);
    assert!(!window.state().session.generation.is_recomputing(), "the model is not asked");
    assert!(window.state().session.inspected.is_analysed());
    assert!(window.state().session.generation.is_idle());
    assert_eq!(window.state().session.inspected.draws(), before);
    // What is on disk is not trusted blindly: a damaged file is computed again.
    let file = std::fs::read_dir(folder.path().join("cache/draws")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&file, b"damaged").unwrap();
    window.state_mut().session.inspect(&id);
    settle(&mut window);
    wait(&mut window, "the draws", |s| s.session.inspected.is_analysed() && s.session.generation.is_idle());
    assert_eq!(window.state().session.inspected.draws(), before);
}
