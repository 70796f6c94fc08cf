//! Clips are compared by ear and by measure.

use super::*;

fn pinned(window: &Window<'_>, n: usize) -> PlaybackSource {
    PlaybackSource::Pinned(window.state().session.comparison.pins.clips()[n].key.clone())
}

/// A window with pinned takes of one text and seed in *native* and *exact*.
fn with_both_modes<'a>(folder: &Path) -> Window<'a> {
    let mut window = open(folder);
    let settings = &mut window.state_mut().session.preferences.settings;
    (settings.autoplay, settings.random_seed) = (false, false);
    say(&mut window, "The boat sailed.");
    for mode in ["native", "exact"] {
        click(&mut window, mode);
        generate(&mut window);
        pin_current(&mut window);
    }
    window
}

/// Takes that are made to be compared are pinned by themselves; a number key switches to one at the same moment while it plays.
#[test]
fn pinned_takes_are_switched_while_they_play() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.preferences.settings.autoplay = false;
    say(&mut window, "The little boat sailed across the quiet lake, and nobody said a word.");
    click(&mut window, "More ways to speak");
    click(&mut window, "3 takes");
    wait(&mut window, "three takes", |s| s.session.comparison.pins.clips().len() == 3 && !s.session.is_speaking());
    focus_nothing(&mut window);
    window.key_press(egui::Key::Num2);
    window.run_steps(2);
    assert_eq!(window.state().session.monitor.source, pinned(&window, 1));
    window.key_press(egui::Key::Space);
    wait(&mut window, "the sound to move", |s| s.session.monitor.player.position() > 0.3);
    let before = window.state().session.monitor.player.position();
    window.key_press(egui::Key::Num3);
    window.run_steps(2);
    let player = &window.state().session.monitor.player;
    assert!(player.is_playing() && player.position() >= before && player.position() < before + 0.5);
    assert!((player.seconds() - window.state().session.comparison.pins.clips()[2].clip.seconds()).abs() < 1e-3);
    // While another take is made, the pinned one keeps playing undisturbed.
    let first = window.state().session.comparison.pins.clips()[0].key.take().unwrap().clone();
    window.state_mut().session.run(LibraryCommand::RegenerateVariants { take: first, takes: 1 });
    let playing = window.state().session.monitor.player.is_playing();
    wait(&mut window, "a fourth take", |s| s.session.library.store.takes().len() == 4 && !s.session.is_speaking());
    assert!(playing, "it was playing when the take began");
    click(&mut window, "Compare");
    assert!(window.query_by_label("Unpin all").is_some());
}

/// A test of pinned takes is written, opened, and gone through by keyboard: only what was heard is answered, an answer can be taken back,
/// and a window that is closed in the middle resumes at the same trial.
#[test]
fn a_listening_test_is_done_by_keyboard() {
    let folder = TempDir::new().unwrap();
    let mut window = with_both_modes(folder.path());
    for kind in [TestKind::Abx, TestKind::Preference, TestKind::Rating] {
        let file = folder.path().join(format!("{kind:?}.json"));
        let clips = window.state().session.comparison.pins.keys();
        let request = TestRequest { repetitions: Some(3), ..TestRequest::new(kind, Template::Modes, clips) };
        window.state_mut().session.run(TestBenchCommand::Make { request, to: file.clone() });
        wait(&mut window, "the test", |_| file.with_extension("page.html").exists());
        assert!(file.with_extension("page.html").exists(), "{:?}", window.state().session.notifications.all());
        window.state_mut().session.run(LibraryCommand::Open(file.clone()));
        settle(&mut window);
        window.run_steps(3);
        let all = window.state().session.test_bench.open_test().unwrap().run().test().trials.len();
        let answered = |w: &Window<'_>| w.state().session.test_bench.open_test().unwrap().run().results().answers.len();
        for n in 0..all {
            window.key_press(egui::Key::A);
            window.key_press(egui::Key::Enter);
            window.run_steps(2);
            assert_eq!(answered(&window), n, "{kind:?}: nothing has been heard");
            let buttons = window.state().session.test_bench.open_test().unwrap().run().buttons().len();
            for (button, key) in
                [egui::Key::Num1, egui::Key::Num2, egui::Key::Num3].into_iter().take(buttons).enumerate()
            {
                window.key_press(key);
                window.run_steps(2);
                wait(&mut window, "the sound to be heard", |s| {
                    s.session.test_bench.open_test().unwrap().was_heard(button)
                });
                wait_for_silence(&mut window);
            }
            let answer = if kind == TestKind::Rating { egui::Key::Enter } else { egui::Key::A };
            if kind == TestKind::Rating {
                // Without a value for each sound Enter answers nothing.
                window.key_press(egui::Key::ArrowRight);
                window.run_steps(2);
                window.key_press(answer);
                window.run_steps(2);
                assert_eq!(answered(&window), n, "the first sound has no value");
                window.key_press(egui::Key::Num1);
                window.run_steps(2);
                window.key_press(egui::Key::ArrowLeft);
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
                settle(&mut window);
                window.state_mut().session.run(TestBenchCommand::Close);
                window.state_mut().session.run(LibraryCommand::Open(file.clone()));
                settle(&mut window);
                window.run_steps(3);
                assert_eq!(answered(&window), 3);
            }
        }
        let report = window.state().session.test_bench.open_test().unwrap().report().unwrap();
        assert!(report.contains("p = "), "{report}");
        // No answer is changed by somebody who has seen what they say.
        assert!(window.query_by_label_contains("p = ").is_none());
        click(&mut window, "Show the report");
        window.key_press(egui::Key::U);
        window.run_steps(2);
        assert_eq!(answered(&window), all);
        window.key_press(egui::Key::Escape);
        window.run_steps(2);
        assert!(!window.state().session.test_bench.is_open());
        assert_eq!(window.state().session.monitor.source, PlaybackSource::CurrentClip);
    }
}

/// A word is looped in one sound and in the next, and a looped word does not count as a sound that was heard.
#[test]
fn a_word_is_looped_in_every_sound_of_a_test() {
    let folder = TempDir::new().unwrap();
    let mut window = with_both_modes(folder.path());
    let clips = window.state().session.comparison.pins.keys();
    for loop_words in [false, true] {
        let file = folder.path().join(format!("words-{loop_words}.json"));
        let request =
            TestRequest { loop_words, ..TestRequest::new(TestKind::Preference, Template::Modes, clips.clone()) };
        window.state_mut().session.run(TestBenchCommand::Make { request, to: file.clone() });
        wait(&mut window, "the test", |_| file.with_extension("page.html").exists());
        window.state_mut().session.run(LibraryCommand::Open(file));
        settle(&mut window);
        window.run_steps(3);
        let words: Vec<String> = test(&window).run().words().into_iter().map(ToOwned::to_owned).collect();
        if loop_words {
            assert_eq!(words, ["The", "boat", "sailed."]);
        } else {
            assert!(words.is_empty(), "the text is shown on request only");
            window.state_mut().session.run(TestBenchCommand::Close);
        }
    }
    click(&mut window, "Loop boat");
    wait(&mut window, "the word", |s| s.session.monitor.player.is_playing());
    let part = |window: &Window<'_>, button: usize| {
        let run = test(window).run();
        run.test().stimuli[run.buttons()[button]].word(1).unwrap()
    };
    let close = |a: (f64, f64), b: (f64, f64)| (a.0 - b.0).abs() < 0.002 && (a.1 - b.1).abs() < 0.002;
    let player = |window: &Window<'_>| {
        let player = &window.state().session.monitor.player;
        (player.region().unwrap(), player.is_looping())
    };
    assert!(close(player(&window).0, part(&window, 0)) && player(&window).1);
    std::thread::sleep(Duration::from_millis(1_500)); // longer than the sound
    window.run_steps(3);
    assert!(window.state().session.monitor.player.is_playing() && !test(&window).was_heard(0));
    click(&mut window, "Play B");
    assert!(close(player(&window).0, part(&window, 1)) && player(&window).1, "the same word of the other sound");
    click(&mut window, "Loop boat");
    wait_for_silence(&mut window);
    click(&mut window, "Play B");
    wait(&mut window, "the whole sound", |s| s.session.test_bench.open_test().unwrap().was_heard(1));
}

fn test<'a>(window: &'a Window<'_>) -> &'a csm_studio::studio::test_bench::OpenTest {
    window.state().session.test_bench.open_test().unwrap()
}

/// The form of a test, with its power, as it is opened from the menu; it offers to run the test that it made.
#[test]
fn a_listening_test_is_planned_in_a_form() {
    let folder = TempDir::new().unwrap();
    let mut window = with_both_modes(folder.path());
    window.state_mut().session.preferences.settings.theme = Theme::Dark;
    let clips = window.state().session.comparison.pins.keys();
    let request = TestRequest { listeners: 12, ..TestRequest::new(TestKind::Preference, Template::Modes, clips) };
    window.state_mut().session.run(TestBenchCommand::Plan(request.clone()));
    wait(&mut window, "the power", |s| s.session.test_bench.form().is_some_and(|form| form.power.is_some()));
    window.run_steps(5);
    assert!(window.query_by_label_contains("8 trials for each listener").is_some());
    assert!(window.query_by_label_contains("Power with 12 listeners and 1 item: ").is_some());
    assert!(window.query_by_label_contains(" % for a split of 60/40, ").is_some());
    let file = folder.path().join("planned.json");
    window.state_mut().session.run(TestBenchCommand::Make { request, to: file });
    wait(&mut window, "the test", |s| s.session.test_bench.form().is_some_and(|form| form.made.is_some()));
    window.run_steps(3);
    click(&mut window, "Run now");
    wait(&mut window, "the open test", |s| s.session.test_bench.is_open());
    assert!(window.state().session.test_bench.form().is_none());
}

/// A test of codebook counts: each take is decoded from some of its codebooks and from all.
#[test]
fn a_listening_test_is_made_of_codebook_counts() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.preferences.settings.autoplay = false;
    say(&mut window, "The boat sailed.");
    generate(&mut window);
    let id = window.state().session.inspector.current.take.clone().unwrap();
    let session = &mut window.state_mut().session;
    let key = [PinKey::Take(id)];
    let templates = templates_for(&key, &session.library, &session.comparison, &session.models);
    let templates: Vec<Template> = templates.iter().map(|choice| choice.template).collect();
    assert_eq!(templates, [Template::Codebooks], "one take differs from itself in nothing else");
    let file = folder.path().join("codebooks.json");
    let request = TestRequest {
        low_anchor: true,
        mid_anchor: true,
        reference: Some("all codebooks".into()),
        training: 1,
        instructions: "Listen with headphones.".into(),
        volume_page: true,
        ..TestRequest::new(TestKind::Rating, Template::Codebooks, key.to_vec())
    };
    session.run(TestBenchCommand::Make { request, to: file.clone() });
    wait(&mut window, "the test", |_| file.exists());
    let test = ListeningTest::read(&file).unwrap();
    let expected = ["the first codebook", "the first 2 codebooks", "the first 3 codebooks", "all codebooks"];
    assert_eq!(test.conditions[..4], expected);
    assert!(test.conditions[4].contains("low anchor") && test.conditions[5].contains("mid anchor"));
    assert_eq!(test.study.instructions, "Listen with headphones.");
    assert!(test.study.volume_page && test.trials.iter().any(|trial| trial.training) && test.trials[0].x.is_some());
    let sound = |n: usize| {
        recording::decode(Path::new("a.wav"), &test.wav(n).unwrap(), 24_000, recording::Length::Whole).unwrap().samples
    };
    let whole = &window.state().session.inspector.current.clip.audio;
    assert_eq!(sound(3).len(), whole.len());
    assert_ne!(sound(0), sound(3));
}

/// What can be measured of the sound is shown, and what the user's recogniser hears in it.
#[test]
fn the_sound_is_measured_and_recognised() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.preferences.settings.autoplay = false;
    window.state_mut().session.preferences.settings.recogniser =
        "sh -c 'test -s \"$0\" && echo The boat sailed away' {wav}".into();
    say(&mut window, "The boat sailed.");
    generate(&mut window);
    click(&mut window, "Sound");
    wait(&mut window, "the measures", |s| !s.session.comparison.measures.value().is_empty());
    click(&mut window, "Transcribe");
    wait(&mut window, "the recogniser", |s| s.session.comparison.measures.value().len() > 1);
    let tables = window.state().session.comparison.measures.value().clone();
    let (heading, value) = (&tables[0].1.columns()[1], &tables[0].1.rows()[0][1]);
    assert!(heading.contains("LUFS") && value.parse::<f64>().is_ok_and(|lufs| (-60.0..0.0).contains(&lufs)));
    let recognised = &tables[1].1.rows()[0][1];
    assert!(recognised.contains("33.3 % of words") && recognised.contains("[→ away]"), "{recognised}");
}

/// Some codebooks of a clip and a file that is not a take are pinned, played next to the whole, measured, and shown as spectrograms.
#[test]
fn any_sound_is_compared() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.preferences.settings.autoplay = false;
    say(&mut window, "The boat sailed.");
    generate(&mut window);
    let id = window.state().session.inspector.current.take.clone().unwrap();
    click(&mut window, "Pin");
    let wave = window.state().session.library.store.path(&id).join("audio.wav");
    window.state_mut().session.run(MonitorCommand::SetMixer(CodebookMixer::first(2, 6)));
    wait(&mut window, "two codebooks", |s| s.session.monitor.source == PlaybackSource::MaskedClip);
    window.key_press(egui::Key::P);
    window.run_steps(2);
    let file = folder.path().join("other.wav");
    std::fs::copy(wave, &file).unwrap();
    settle(&mut window);
    window.state_mut().session.run(LibraryCommand::Open(file));
    settle(&mut window);
    window.key_press(egui::Key::P);
    window.key_press(egui::Key::M);
    settle(&mut window);
    let pins = window.state().session.comparison.pins.clips();
    let names: Vec<&str> = pins.iter().map(|clip| clip.name.as_str()).collect();
    assert_eq!(names[1..], ["The boat sailed., the first 2 codebooks", "other.wav"]);
    assert_eq!(pins.iter().map(|clip| clip.key.take().is_some()).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(pins[0].clip.audio.len(), pins[1].clip.audio.len());
    assert_ne!(pins[0].clip.audio, pins[1].clip.audio);
    window.key_press(egui::Key::Num2);
    window.run_steps(2);
    assert_eq!(window.state().session.monitor.source, pinned(&window, 1));
    click(&mut window, "Sound");
    wait(&mut window, "the measures", |s| s.session.comparison.measures.value().len() > 1 && !s.session.is_measuring());
    let tables = window.state().session.comparison.measures.value().clone();
    assert_eq!(tables[0].1.rows().len(), 4, "the current clip and three pinned ones");
    let distance = |a: &str, b: &str| {
        let row = tables[1].1.rows().iter().find(|row| row[0].starts_with(a) && row[1].starts_with(b)).unwrap();
        row[2].parse::<f64>().unwrap()
    };
    assert!(distance("1 ", "3:") < 0.3, "the same sound in 16 bits");
    assert!(distance("1 ", "2 ") > 1.0);
    wait(&mut window, "the spectrogram", |s| s.session.inspector.current.spectrogram.is_some());
    click(&mut window, "Compare");
    let to = folder.path().join("page.html");
    window.state_mut().session.run(LibraryCommand::Export { export: Export::Pinned, to: to.clone() });
    settle(&mut window);
    assert!(to.exists(), "{:?}", window.state().session.notifications.all());
}
