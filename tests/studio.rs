//! The window: the real program with the real worker on the demo voice, drawn without a display.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use csm_studio::audio::output::Sink;
use csm_studio::audio::wav;
use csm_studio::sampling::Mode;
use csm_studio::studio::Studio;
use csm_studio::studio::session::{Place, Turn};
use csm_studio::studio::settings::Theme;
use csm_studio::takes::{Measures, Store, Take};
use csm_studio::tokens::{Stop, TokenFile};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use tempfile::TempDir;

type Window<'a> = Harness<'a, Studio>;

fn place(folder: &Path) -> Place {
    Place {
        takes: folder.join("takes"),
        settings: folder.join("settings.json"),
        sink: Some(Sink::Paced(48_000)),
        model: None,
    }
}

fn open<'a>(folder: &Path) -> Window<'a> {
    let mut window = Harness::builder()
        .with_size([1280.0, 800.0])
        .wgpu()
        .build_eframe(|c| Studio::new(&c.egui_ctx, place(folder)).unwrap());
    wait(&mut window, "the model", |s| s.session.is_ready());
    window
}

/// Draws frames until `done`.
fn wait(window: &mut Window<'_>, what: &str, done: impl Fn(&Studio) -> bool) {
    let begun = Instant::now();
    while !done(window.state()) {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited for {what}: {:?}", window.state().session.messages);
        std::thread::sleep(Duration::from_millis(5));
        window.step();
    }
    window.run_steps(3);
}

fn takes(window: &Window<'_>) -> usize {
    window.state().session.store.takes().len()
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
    assert_eq!(window.state().session.turns[0].text, text);
}

fn generate(window: &mut Window<'_>) {
    let before = takes(window);
    click(window, "Generate");
    wait(window, "a take", |s| s.session.store.takes().len() > before && !s.session.is_speaking());
}

#[test]
fn a_sentence_is_spoken_kept_played_deleted_and_found_again() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "Good morning.");
    generate(&mut window);
    let s = &window.state().session;
    let take = &s.store.takes()[0];
    assert_eq!((take.text.as_str(), take.stop), ("Good morning.", Some(Stop::Eos)));
    assert_eq!((s.shown.steps.len(), s.shown.frames.len()), (take.measures.frames, take.measures.frames));
    assert!((s.output.seconds() - take.measures.seconds).abs() < 1e-6);
    wait(&mut window, "the end of the sound", |s| !s.session.output.is_playing());

    click(&mut window, "exact");
    generate(&mut window);
    let modes: Vec<Mode> = window.state().session.store.takes().iter().map(|t| t.sampling.unwrap().mode).collect();
    assert_eq!(modes, [Mode::Exact, Mode::Native]);

    wait(&mut window, "the end of the sound", |s| !s.session.output.is_playing());
    let waveform = window.get_by_label("Waveform").rect();
    let length = window.state().session.output.seconds();
    window.hover_at(waveform.center());
    window.drag_at(waveform.center());
    window.drop_at(waveform.center());
    window.run_steps(3);
    assert!((window.state().session.output.position() - length / 2.0).abs() < 0.05, "a click seeks");
    click(&mut window, "▶ Play");
    wait(&mut window, "the sound to move", |s| s.session.output.position() > length / 2.0 + 0.05);

    let newest = window.state().session.store.takes()[0].id.clone();
    window.state_mut().session.told(|store| store.change(&newest, |t| t.name = "the newest".into()));
    window.run_steps(2);
    click(&mut window, "Menu of the newest");
    click(&mut window, "Delete");
    assert_eq!(takes(&window), 1);
    click(&mut window, "Undo delete");
    assert_eq!(takes(&window), 2);
    drop(window);

    let mut window = open(folder.path());
    assert_eq!(takes(&window), 2);
    assert_eq!(window.state().session.sampling.mode, Mode::Exact, "settings are remembered");
    click(&mut window, "the newest");
    wait(&mut window, "the draws", |s| !s.session.is_looking() && !s.session.shown.steps.is_empty());
    let shown = &window.state().session.shown;
    assert_eq!((shown.take.as_ref(), shown.steps.len()), (Some(&newest), shown.frames.len()));
    // What teacher forcing computes again is what was drawn from: the token that was taken is never an impossible one.
    assert!(shown.steps.iter().flatten().all(|s| s.sampled.probability > 0.0));
}

#[test]
fn cancelling_keeps_what_was_made() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "This is a long sentence that nobody wants to hear to its very end, not even today.");
    click(&mut window, "Generate");
    wait(&mut window, "some frames", |s| s.session.shown.frames.len() >= 3);
    click(&mut window, "Cancel");
    wait(&mut window, "the end", |s| !s.session.is_speaking());
    let take = &window.state().session.store.takes()[0];
    assert_eq!(take.stop, Some(Stop::Cancelled));
    assert!((3..40).contains(&take.measures.frames), "{}", take.measures.frames);
}

#[test]
fn a_reply_hears_the_turns_before_it_and_the_command_makes_it_again() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    let turn = |speaker, text: &str| Turn { speaker, text: text.into(), take: None };
    window.state_mut().session.turns = vec![turn(0, "How are you?"), turn(1, "I am fine.")];
    window.run_steps(2);
    click(&mut window, "Generate reply");
    assert!(window.state().session.messages.iter().any(|m| m.text.contains("turn 1 has to be spoken before")));
    click(&mut window, "Generate turn 1");
    wait(&mut window, "the first turn", |s| s.session.turns[0].take.is_some());
    click(&mut window, "Generate reply");
    wait(&mut window, "the reply", |s| s.session.turns[1].take.is_some());
    let s = &window.state().session;
    let reply = s.turns[1].take.clone().unwrap();
    let tokens = std::fs::read(s.store.path(&reply).join("tokens.json")).unwrap();
    let file: TokenFile = serde_json::from_slice(&tokens).unwrap();
    assert_eq!((file.context.len(), file.context[0].text.as_str()), (1, "How are you?"));
    let first = s.turns[0].take.clone().unwrap();
    for (take, command) in [(&reply, s.command(&reply).unwrap()), (&first, s.command(&first).unwrap())] {
        let script = command.replacen("csm", env!("CARGO_BIN_EXE_csm"), 1) + " --dump-tokens again.json";
        let out = Command::new("sh").args(["-c", &script]).current_dir(folder.path()).output().unwrap();
        assert!(out.status.success(), "{command}: {}", String::from_utf8_lossy(&out.stderr));
        let again = TokenFile::read(&folder.path().join("again.json"), 6, 1027).unwrap();
        let kept = TokenFile::read(&s.store.path(take).join("tokens.json"), 6, 1027).unwrap();
        assert_eq!(again.frames, kept.frames, "{command}");
    }
}

#[test]
fn a_take_is_resumed_in_another_mode_from_a_frame_on() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "The little boat sailed across the lake.");
    generate(&mut window);
    let before = window.state().session.shown.frames.clone();
    let map = window.get_by_label("Token map").rect();
    let cell = map.left_top() + egui::vec2(map.width() * 5.5 / before.len() as f32, 4.0);
    window.hover_at(cell);
    window.drag_at(cell);
    window.drop_at(cell);
    window.run_steps(3);
    click(&mut window, "exact");
    window.state_mut().session.sampling.temperature = 1.4;
    click(&mut window, "Resume here");
    wait(&mut window, "the new take", |s| s.session.store.takes().len() == 2 && !s.session.is_speaking());
    let s = &window.state().session;
    assert_eq!(s.shown.frames[..5], before[..5], "the same up to there");
    assert_ne!(s.shown.frames, before);
    let modes: Vec<Mode> = s.shown.samplings.iter().map(|s| s.mode).collect();
    assert!(modes[..5].iter().all(|m| *m == Mode::Native) && modes[5..].iter().all(|m| *m == Mode::Exact), "{modes:?}");
    let take = s.store.get(s.shown.take.as_ref().unwrap()).unwrap();
    assert!(take.edited && take.parent.is_some());
}

#[test]
fn at_rest_nothing_is_repainted() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "Yes.");
    generate(&mut window);
    wait(&mut window, "the end of the sound", |s| !s.session.output.is_playing());
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
    (session.settings.new_seed, session.sampling.mode, session.sampling.seed) = (false, Mode::Exact, 7);
    (session.settings.play_at_once, session.sampling.precision) = (false, csm_studio::checkpoint::Dtype::Float32);
    generate(&mut window);
    window.key_press(egui::Key::F1);
    window.run_steps(2);
    window.key_press(egui::Key::F1);
    for (theme, name) in [(Theme::Dark, "window-dark"), (Theme::Light, "window-light")] {
        let session = &mut window.state_mut().session;
        // Speed is another each time.
        (session.settings.theme, session.shown.real_time_factor) = (theme, 0.0);
        window.run_steps(8);
        window.snapshot(name);
    }
}

fn a_take(text: &str, created: u64) -> Take {
    Take {
        id: String::new(),
        name: text.into(),
        created,
        favourite: false,
        parent: None,
        measures: Measures::default(),
        text: text.into(),
        speaker: 0,
        model: None,
        sampling: None,
        stop: Some(Stop::Eos),
        edited: false,
    }
}

/// The child of the next test: keeps takes until it is killed.
#[test]
#[ignore = "a helper, run by the test after it"]
fn keeps_takes_until_killed() {
    let folder = std::env::var_os("CSM_TAKES").expect("set by the test that runs this");
    let mut store = Store::open(Path::new(&folder)).unwrap();
    let tokens = TokenFile { frames: vec![vec![1; 6]; 100], ..TokenFile::default() };
    let (bytes, _) = wav::encode(&[0.1; 48_000], 24_000, &wav::Info::default()).unwrap();
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
        assert_eq!(TokenFile::read(&path.join("tokens.json"), 6, 1027).unwrap().frames.len(), 100);
        assert_eq!(wav::read(&path.join("audio.wav"), 24_000).unwrap().len(), 48_000);
    }
}

/// Prints how long things take; `cargo nextest run --release --run-ignored only bench --no-capture`.
#[test]
#[ignore = "a benchmark, no test"]
fn bench() {
    let folder = TempDir::new().unwrap();
    let mut window = Harness::builder()
        .with_size([1920.0, 1200.0])
        .build_eframe(|c| Studio::new(&c.egui_ctx, place(folder.path())).unwrap());
    wait(&mut window, "the model", |s| s.session.is_ready());
    fill(&mut window.state_mut().session.shown);
    window.run_steps(5);
    let mut times: Vec<f64> = (0..300)
        .map(|_| {
            // As while speaking: the map is drawn anew.
            window.state_mut().session.shown.version += 1;
            let begun = Instant::now();
            window.step();
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "layout and tessellation, 60 s x 6 codebooks, map new each frame: p50 {:.2} ms, p95 {:.2} ms",
        times[150], times[285]
    );

    let folder = TempDir::new().unwrap();
    for n in 0..10_000 {
        let take = a_take(&format!("take {n} of many"), n);
        let id = format!("{n:010}-000");
        std::fs::create_dir(folder.path().join(&id)).unwrap();
        let json = serde_json::to_vec_pretty(&Take { id: id.clone(), ..take }).unwrap();
        std::fs::write(folder.path().join(id).join("take.json"), json).unwrap();
    }
    let begun = Instant::now();
    let store = Store::open(folder.path()).unwrap();
    let opened = begun.elapsed();
    let begun = Instant::now();
    let found = store.search("MANY 77").len();
    println!("10,000 takes: opened in {opened:?}, searched in {:?} ({found} found)", begun.elapsed());
}

fn fill(shown: &mut csm_studio::studio::session::Shown) {
    use csm_studio::analysis::step::Step;
    use csm_studio::checkpoint::Dtype;
    use csm_studio::config::GenerationConfig;
    use csm_studio::sampling::Sampling;
    let sampling = Sampling::suggested(&GenerationConfig::default(), Mode::Exact, 0, Dtype::Float32, 1027);
    for t in 0..750u32 {
        let codes: Vec<u32> = (0..6).map(|k| (t * 37 + k * 101) % 1027).collect();
        let logits: Vec<f32> = (0..6 * 1027).map(|i| ((i * 7919 + t as usize * 31) % 997) as f32 / 100.0).collect();
        let rows = logits.chunks_exact(1027).enumerate();
        shown.steps.push(rows.map(|(k, row)| Step::of(row, codes[k], sampling.draw(k), None)).collect());
        shown.logits.push(logits);
        shown.samplings.push(sampling);
        shown.frames.push(codes);
    }
    shown.audio = vec![0.1; 60 * 24_000];
    shown.peaks = (0..6_000).map(|i| (-(i % 90) as f32 / 100.0, (i % 70) as f32 / 100.0)).collect();
}
