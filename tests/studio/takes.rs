//! Takes are kept, found and opened.

use super::*;

#[test]
fn a_take_is_deleted_restored_and_found_again_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "Good morning.");
    click(&mut window, "exact");
    generate(&mut window);
    let id = window.state().session.library.store.takes()[0].id.clone();
    window.state_mut().session.library.store.update(&id, |t| t.name = "the newest".into()).unwrap();
    window.run_steps(2);
    click(&mut window, "Menu of the newest");
    click(&mut window, "Delete");
    settle(&mut window);
    assert_eq!((takes(&window), &window.state().session.inspector.current.take), (0, &None));
    click(&mut window, "Undo delete");
    settle(&mut window);
    assert_eq!((takes(&window), window.state().session.inspector.current.take.as_ref()), (1, Some(&id)));
    drop(window);

    let mut window = open(folder.path());
    assert_eq!(takes(&window), 1);
    assert_eq!(window.state().session.composer.sampling.mode, Mode::Exact, "settings are remembered");
    click(&mut window, "the newest");
    wait(&mut window, "the draws", |s| !s.session.is_recomputing() && !s.session.inspector.current.steps.is_empty());
    let clip = &window.state().session.inspector.current;
    assert_eq!((clip.take.as_ref(), clip.steps.len()), (Some(&id), clip.clip.codes.len()));
    // Teacher forcing recomputes what was drawn from: the token that was taken is never an impossible one.
    let probability = Stat::SampledProbability;
    assert!(clip.steps.iter().flat_map(|step| &step.stats).all(|stats| stats[probability] > 0.0));
}

/// Another checkpoint in the running window, and its takes next to the first one's: all can be played.
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
    session.run(InspectorCommand::View(id));
    settle(&mut window);
    let session = &window.state().session;
    assert_eq!((session.inspector.current.clip.codes.codebooks(), session.monitor.player.seconds()), (32, 0.8));
    click(&mut window, "Play");
    wait(&mut window, "the sound", |s| s.session.monitor.player.position() > 0.1);
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
        .build_eframe(|c| studio(&c.egui_ctx, &StudioPaths { open, ..paths(folder.path()) }));
    wait(&mut window, "the tokens", |s| {
        !s.session.inspector.current.clip.codes.is_empty() && !s.session.is_recomputing()
    });
    let file = TokenFile::read(&tokens, &demo_dims()).unwrap();
    let session = &mut window.state_mut().session;
    assert_eq!(session.inspector.current.clip.codes, file.frames);
    assert!((session.monitor.player.seconds() - 0.08 * file.frames.len() as f64).abs() < 1e-6);
    let told = session.notifications.all();
    assert!(told.iter().any(|n| n.error && n.text.contains("notes.txt")), "{told:?}");
    let (bytes, _) = wav::encode(&[0.1; 12_000], 24_000, &wav::WavInfo::default()).unwrap();
    std::fs::write(folder.path().join("half.wav"), bytes).unwrap();
    session.run(LibraryCommand::Open(folder.path().join("half.wav")));
    settle(&mut window);
    assert_eq!(window.state().session.monitor.player.seconds(), 0.5);
    // A clip of eleven minutes is wider than a graphics card's textures.
    let frames = vec![vec![1; 6]; 8_300];
    let long = folder.path().join("long.json");
    std::fs::write(&long, serde_json::json!({ "frames": frames }).to_string()).unwrap();
    window.state_mut().session.run(LibraryCommand::Open(long));
    wait(&mut window, "the long clip", |s| s.session.inspector.current.clip.codes.len() == 8_300);
    window.run_steps(3);
    window.render().unwrap();
}

/// A window that is closed waits for the files that are being written.
#[test]
fn nothing_that_is_being_written_is_lost_when_the_window_closes() {
    let folder = TempDir::new().unwrap();
    let (mut window, _) = with_a_take(folder.path(), "Good morning.");
    let take = window.state().session.inspector.current.take.clone().unwrap();
    let file = |n: usize| folder.path().join(format!("{n}.html"));
    let session = &mut window.state_mut().session;
    for n in 0..20 {
        session.run(LibraryCommand::Export { export: Export::Take(take.clone(), ExportKind::Page), to: file(n) });
    }
    assert!(!file(19).exists(), "exports are written one after another");
    session.close();
    for n in 0..20 {
        assert!(file(n).exists(), "{n}");
    }
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
    assert!(window.query_by_label("2 selected").is_some());
    // From the one before to this one.
    window.get_by_label("take number 2").click_modifiers(egui::Modifiers::SHIFT);
    window.run_steps(2);
    assert!(window.query_by_label("3 selected").is_some());
    focus_nothing(&mut window);
    window.key_press(egui::Key::Delete);
    window.run_steps(3);
    settle(&mut window);
    assert_eq!(takes(&window), 2);
    click(&mut window, "Undo delete");
    settle(&mut window);
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

fn a_take(text: &str, created: u64) -> Take {
    let stop = Some(FinishReason::Eos);
    Take { name: text.into(), text: text.into(), created, stop, ..Take::default() }
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
            .args(["--exact", "studio::takes::keeps_takes_until_killed", "--ignored", "--nocapture"])
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
        assert!(store.get(&TakeId::from(id.as_str())).is_some(), "{id} was kept and is gone");
    }
    for take in store.takes() {
        let path = store.path(&take.id);
        assert_eq!(TokenFile::read(&path.join("tokens.json"), &demo_dims()).unwrap().frames.len(), 100);
        assert_eq!(recording::samples(&path.join("audio.wav"), 24_000).unwrap().len(), 48_000);
    }
}

/// A take that cannot be written is not lost: it is written again, or into another folder.
#[test]
fn unwritten_takes_are_written_again_or_elsewhere() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    // A file stands where the window writes.
    let takes_folder = folder.path().join("takes");
    let aside = folder.path().join("aside");
    std::fs::rename(&takes_folder, &aside).unwrap();
    std::fs::write(&takes_folder, "in the way").unwrap();
    say(&mut window, "Hello.");
    let make = |window: &mut Window<'_>, unwritten: usize| {
        click(window, "Speak");
        wait(window, "a take that cannot be written", |s| s.session.library.unwritten() == unwritten);
        window.run_steps(2);
    };
    make(&mut window, 1);
    assert_eq!(takes(&window), 0);
    click(&mut window, "Write again");
    settle(&mut window);
    assert_eq!(window.state().session.library.unwritten(), 1, "nothing has changed");

    let elsewhere = folder.path().join("elsewhere");
    window.state_mut().session.run(LibraryCommand::WriteElsewhere(elsewhere.clone()));
    settle(&mut window);
    assert_eq!(window.state().session.library.unwritten(), 0);
    assert!(!window.state().session.notifications.all().iter().any(|n| n.error));
    assert_eq!(Store::open(&elsewhere).unwrap().takes().len(), 1);

    make(&mut window, 1);
    std::fs::remove_file(&takes_folder).unwrap();
    std::fs::rename(&aside, &takes_folder).unwrap();
    click(&mut window, "Write again");
    settle(&mut window);
    assert_eq!((takes(&window), window.state().session.library.unwritten()), (1, 0));
    assert!(window.state().session.inspector.current.take.is_some(), "the current clip is that take");
}

/// A window that closes with a take it could write nowhere puts it into the temporary folder, and the next one says so.
#[test]
fn a_take_that_could_be_written_nowhere_is_rescued() {
    let (folder, temporary) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    // SAFETY: nextest gives this test its own process, and no other thread of it reads the environment yet.
    unsafe { std::env::set_var("TMPDIR", temporary.path()) };
    let mut window = open(folder.path());
    assert!(window.state().session.notifications.all().is_empty());
    let takes_folder = folder.path().join("takes");
    std::fs::rename(&takes_folder, folder.path().join("aside")).unwrap();
    std::fs::write(&takes_folder, "in the way").unwrap();
    say(&mut window, "Hello.");
    click(&mut window, "Speak");
    wait(&mut window, "a take that cannot be written", |s| s.session.library.unwritten() == 1);
    window.state_mut().session.close();
    drop(window);
    std::fs::remove_file(&takes_folder).unwrap();
    std::fs::rename(folder.path().join("aside"), &takes_folder).unwrap();
    let rescued = temporary.path().join("csm-studio-takes");
    let store = Store::open(&rescued).unwrap();
    assert_eq!(store.takes().iter().map(|take| take.text.as_str()).collect::<Vec<_>>(), ["Hello."]);
    let window = open(folder.path());
    let says = window.state().session.notifications.all().iter().any(|n| n.text.contains("csm-studio-takes"));
    assert!(says, "{:?}", window.state().session.notifications.all());
}
