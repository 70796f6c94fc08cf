//! Texts and conversations become takes.

use super::*;

/// A longer text is spoken in pieces, one after another with the piece before as context; the text stays as it was typed. A speaker's
/// number at the start of it is its speaker, and the parts that are read in words are reported.
#[test]
fn a_longer_text_is_spoken_in_pieces() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    let text = "[1]It is 10:45. I lost my keys.";
    say(&mut window, text);
    click(&mut window, "Speak");
    wait(&mut window, "two takes", |s| s.session.library.store.takes().len() == 2 && !s.session.is_speaking());
    let s = &window.state().session;
    let [turn] = s.composer.conversation.turns() else { panic!("one turn") };
    assert_eq!(turn.text, text);
    let read = |id: &TakeId| TokenFile::read(&s.library.store.path(id).join("tokens.json"), &demo_dims()).unwrap();
    let [first, second] = turn.takes().unwrap() else { panic!("two pieces") };
    let (first, second) = (read(first), read(second));
    assert_eq!((first.text.as_deref(), first.speaker), (Some("It is 10:45."), Some(1)));
    assert_eq!((second.text.as_deref(), second.speaker), (Some("I lost my keys."), Some(1)));
    assert!(first.context.is_empty());
    assert_eq!(second.context[0].frames, first.frames);
    let told: Vec<&str> = s.notifications.all().iter().map(|m| m.text.as_str()).collect();
    assert!(
        told.iter().any(|m| m.contains("ten forty-five")) && told.iter().any(|m| m.contains("2 pieces")),
        "{told:?}"
    );
}

/// Each piece of a longer text is made as often as was asked for.
#[test]
fn every_piece_has_its_takes() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.preferences.settings.autoplay = false;
    say(&mut window, "I lost my keys. It is late.");
    click(&mut window, "More ways to speak");
    click(&mut window, "3 takes");
    wait(&mut window, "six takes", |s| s.session.library.store.takes().len() == 6 && !s.session.is_speaking());
    let s = &window.state().session;
    let of = |text: &str| s.library.store.takes().iter().filter(|take| take.text == text).count();
    assert_eq!((of("I lost my keys."), of("It is late.")), (3, 3));
    assert_eq!(s.composer.conversation.turns()[0].takes().unwrap().len(), 2);
}

/// What is to be spoken before the model is loaded is spoken then; a key that follows typed text in the same frame speaks that text.
#[test]
fn speaking_waits_for_the_model() {
    let folder = TempDir::new().unwrap();
    let mut window =
        Harness::builder().with_size([1280.0, 800.0]).build_eframe(|c| studio(&c.egui_ctx, &paths(folder.path())));
    window.step();
    assert!(!window.state().session.models.is_ready() && window.state().session.models.can_speak());
    window.get_by_label("Text of turn 1").focus();
    window.step();
    window.get_by_label("Text of turn 1").type_text("Good morning.");
    window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Enter);
    window.step();
    wait(&mut window, "the take", |s| s.session.library.store.takes().len() == 1);
    assert_eq!(window.state().session.library.store.takes()[0].text, "Good morning.");
}

/// The rest of a text that is changed while it is spoken is left out; so is that of a turn that is deleted.
#[test]
fn a_changed_text_ends_its_pieces_and_no_others() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.preferences.settings.autoplay = false;
    say(&mut window, "I lost my keys. It is late. Good morning.");
    click(&mut window, "Speak");
    wait(&mut window, "the first piece", |s| s.session.is_speaking());
    let conversation = &mut window.state_mut().session.composer.conversation;
    let (turn, next) = (conversation.turns()[0].id, conversation.add(1, "Thank you."));
    conversation.edit(turn, 0, "Another text.");
    window.state_mut().session.run(ComposerCommand::Speak { turn: next, with_context: false });
    wait(&mut window, "the other turn", |s| s.session.composer.conversation.turns()[1].takes().is_some());
    let texts: Vec<&str> = window.state().session.library.store.takes().iter().map(|take| take.text.as_str()).collect();
    assert_eq!(texts, ["Thank you.", "I lost my keys."]);
    assert_eq!(window.state().session.composer.conversation.turns()[0].spoken, None);
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
    assert_eq!(
        (s.inspector.current.steps.len(), s.inspector.current.clip.codes.len()),
        (take.measures.frames, take.measures.frames)
    );
    assert!((s.monitor.player.seconds() - take.measures.seconds).abs() < 1e-6);
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
        assert!(!enabled || window.state().session.composer.sampling.mode == info.mode, "{}", info.name);
    }
}

/// Three takes with a seed each, made side by side: the first becomes current, and each equals the take of its seed alone.
#[test]
fn several_takes_are_made_at_once() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.preferences.settings.autoplay = false;
    say(&mut window, "Good morning.");
    click(&mut window, "exact");
    click(&mut window, "More ways to speak");
    click(&mut window, "3 takes");
    wait(&mut window, "three takes", |s| s.session.library.store.takes().len() == 3 && !s.session.is_speaking());
    let s = &window.state().session;
    let mut seeds: Vec<u64> = s.library.store.takes().iter().map(|t| t.sampling.unwrap().seed).collect();
    seeds.dedup();
    assert_eq!(seeds.len(), 3);
    let on_view = s.inspector.current.take.clone().unwrap();
    assert_eq!(s.composer.conversation.turns()[0].takes().unwrap(), std::slice::from_ref(&on_view));
    let other = s.library.store.takes().iter().find(|t| t.id != on_view).unwrap().id.clone();
    let file = |s: &Studio, id: &TakeId| {
        TokenFile::read(&s.session.library.store.path(id).join("tokens.json"), &demo_dims()).unwrap().frames
    };
    let together = file(window.state(), &other);
    window.state_mut().session.run(LibraryCommand::Regenerate { take: other, seed: RegenerateSeed::Same });
    wait(&mut window, "it once more", |s| s.session.library.store.takes().len() == 4 && !s.session.is_speaking());
    let again = window.state().session.inspector.current.take.clone().unwrap();
    assert_eq!(file(window.state(), &again), together);
}

/// What is written in the window outlives it.
#[test]
fn a_draft_is_there_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "An unfinished thought");
    wait(&mut window, "the draft", |s| !s.session.composer.has_unsaved_draft());
    drop(window); // as a kill would: nothing is saved on the way out
    let window = open(folder.path());
    assert_eq!(window.state().session.composer.conversation.turns()[0].text, "An unfinished thought");
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
    session.run(ComposerCommand::SetVoicePrompt(recording));
    let turn = session.composer.conversation.turns()[0].id;
    for _ in 0..2 {
        session.run(ComposerCommand::Stop);
        session.run(ComposerCommand::Speak { turn, with_context: false });
    }
    assert_eq!(session.waiting_takes(), 1);
    wait(&mut window, "the recording", |s| s.session.composer.conversation.prompt.is_some());
    let prompt = window.state_mut().session.composer.conversation.prompt.as_mut().unwrap();
    assert!(prompt.codes.is_none(), "it is still being encoded");
    prompt.text = "Something.".into();
    wait(&mut window, "the take", |s| s.session.library.store.takes().len() == 1 && !s.session.is_speaking());
    let s = &window.state().session;
    let path = s.library.store.path(&s.library.store.takes()[0].id).join("tokens.json");
    let file = TokenFile::read(&path, &demo_dims()).unwrap();
    assert_eq!(file.context.len(), 1);
    assert_eq!(Some(&file.context[0].frames), s.composer.conversation.prompt.as_ref().unwrap().codes.as_ref());
}

#[test]
fn cancelling_keeps_what_was_made() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "This is a long sentence that nobody wants to hear to its very end, not even today.");
    click(&mut window, "Speak");
    wait(&mut window, "some frames", |s| s.session.inspector.current.clip.codes.len() >= 3);
    click(&mut window, "Stop");
    wait(&mut window, "the end", |s| !s.session.is_speaking());
    settle(&mut window);
    let take = &window.state().session.library.store.takes()[0];
    assert_eq!(take.stop, Some(FinishReason::Cancelled));
    assert!((3..40).contains(&take.measures.frames), "{}", take.measures.frames);
}

#[test]
fn a_reply_hears_the_turns_before_it_and_the_command_makes_it_again() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    let session = &mut window.state_mut().session;
    let turn = session.composer.conversation.turns()[0].id;
    session.composer.conversation.edit(turn, 0, "How are you?");
    session.composer.conversation.add(1, "I am fine.");
    window.run_steps(2);
    window.get_by_label("Text of turn 2").focus();
    window.run_steps(2);
    // What it answers has not been spoken: that comes first.
    click(&mut window, "More ways to speak");
    click(&mut window, "Speak as reply");
    assert!(window.state().session.notifications.all().iter().any(|m| m.text.contains("spoken first")));
    wait(&mut window, "the reply", |s| s.session.composer.conversation.turns()[1].takes().is_some());
    let conversation = &window.state().session.composer.conversation;
    assert!(!conversation.is_stale(conversation.turns()[1].id));
    let s = &window.state().session;
    let reply = s.composer.conversation.turns()[1].takes().unwrap()[0].clone();
    let tokens = std::fs::read(s.library.store.path(&reply).join("tokens.json")).unwrap();
    let file: TokenFile = serde_json::from_slice(&tokens).unwrap();
    assert_eq!((file.context.len(), file.context[0].text.as_str()), (1, "How are you?"));
    let first = s.composer.conversation.turns()[0].takes().unwrap()[0].clone();
    let folder_of = |take: &TakeId| s.library.store.path(take);
    let paths = [folder_of(&reply), folder_of(&first)];
    for (take, path) in [reply, first].into_iter().zip(paths) {
        window.state_mut().session.run(LibraryCommand::CopyCommand(take));
        settle(&mut window);
        let command = window.state().session.shell.copied().unwrap().to_owned();
        let script = command.replacen("csm", env!("CARGO_BIN_EXE_csm"), 1) + " --dump-tokens again.json";
        let out = Command::new("sh").args(["-c", &script]).current_dir(folder.path()).output().unwrap();
        assert!(out.status.success(), "{command}: {}", String::from_utf8_lossy(&out.stderr));
        let again = TokenFile::read(&folder.path().join("again.json"), &demo_dims()).unwrap();
        let kept = TokenFile::read(&path.join("tokens.json"), &demo_dims()).unwrap();
        assert_eq!(again.frames, kept.frames, "{command}");
    }
}

#[test]
fn a_take_is_resumed_in_another_mode_from_a_frame_on() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    say(&mut window, "The little boat sailed across the lake.");
    generate(&mut window);
    let before = window.state().session.inspector.current.clip.codes.clone();
    let length = window.state().session.monitor.player.seconds();
    let cell = in_lane(&window, "Token map", 0.08 * 5.5, length);
    press(&mut window, cell, cell);
    click(&mut window, "exact");
    window.state_mut().session.composer.sampling.codebook0.temperature = 1.4;
    click(&mut window, "Regenerate from here");
    click(&mut window, "Current settings");
    wait(&mut window, "the new take", |s| s.session.library.store.takes().len() == 2 && !s.session.is_speaking());
    let s = &window.state().session;
    assert_eq!(s.inspector.current.clip.codes.prefix(5), before.prefix(5), "the same up to there");
    assert_ne!(s.inspector.current.clip.codes, before);
    let modes: Vec<Mode> = s.inspector.current.steps.iter().map(|step| step.sampling.mode).collect();
    assert!(modes[..5].iter().all(|m| *m == Mode::Native) && modes[5..].iter().all(|m| *m == Mode::Exact), "{modes:?}");
    let take = s.library.store.get(s.inspector.current.take.as_ref().unwrap()).unwrap();
    assert!(take.edited && take.parent.is_some());
}

/// Another seed from a frame on: what comes before stays, what comes after has that seed's noise, and the command line makes it again.
#[test]
fn a_take_is_spoken_again_from_a_frame_on_with_another_seed() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.preferences.settings.autoplay = false;
    say(&mut window, "The little boat sailed across the lake.");
    click(&mut window, "exact");
    generate(&mut window);
    let before = window.state().session.inspector.current.clip.codes.clone();
    window.state_mut().session.run(InspectorCommand::Select(Some((5, 0))));
    focus_nothing(&mut window);
    window.key_press(egui::Key::R);
    wait(&mut window, "the new take", |s| s.session.library.store.takes().len() == 2 && !s.session.is_speaking());
    let s = &window.state().session;
    assert_eq!(s.inspector.current.clip.codes.prefix(5), before.prefix(5), "the same up to there");
    assert_ne!(s.inspector.current.clip.codes, before);
    let seeds: Vec<u64> = s.inspector.current.steps.iter().map(|step| step.sampling.seed).collect();
    assert!(seeds[..5].iter().all(|seed| *seed == seeds[0]) && seeds[5..].iter().all(|seed| *seed != seeds[0]));
    let again = s.inspector.current.take.clone().unwrap();
    let made = s.inspector.current.clip.codes.clone();
    window.state_mut().session.run(LibraryCommand::Regenerate { take: again, seed: RegenerateSeed::Same });
    wait(&mut window, "it once more", |s| s.session.library.store.takes().len() == 3 && !s.session.is_speaking());
    assert_eq!(window.state().session.inspector.current.clip.codes, made);
}

/// The conversation is one WAV with a pause between its turns, and every turn has to be spoken for that.
#[test]
fn a_conversation_is_exported_and_settings_are_taken_over() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.preferences.settings.autoplay = false;
    say(&mut window, "Good morning.");
    let session = &mut window.state_mut().session;
    session.composer.conversation.add(1, "Hello to you.");
    let error = session.composer.conversation.all_takes().unwrap_err().to_string();
    assert!(error.contains("Speak all"), "{error}");
    session.run(ComposerCommand::SpeakConversation);
    wait(&mut window, "both turns", |s| s.session.composer.conversation.takes().is_some() && !s.session.is_speaking());
    let session = &mut window.state_mut().session;
    let wav_file = folder.path().join("conversation.wav");
    session.run(LibraryCommand::Export { export: Export::Conversation, to: wav_file.clone() });
    settle(&mut window);
    let session = &mut window.state_mut().session;
    let written = recording::samples(&wav_file, 24_000).unwrap().len() as f64 / 24_000.0;
    let seconds: f64 = session.library.store.takes().iter().map(|t| t.measures.seconds).sum();
    assert!((written - seconds - 0.3).abs() < 1e-3, "{written} of {seconds}");
    let first = session.composer.conversation.takes().unwrap().remove(0);
    session.composer.sampling.codebook0.temperature = 0.123;
    session.run(LibraryCommand::UseSettings(first.clone()));
    let made_with = session.library.store.get(&first).unwrap().sampling.unwrap();
    assert!(session.composer.sampling == made_with && !session.preferences.settings.random_seed);
    click(&mut window, "More ways to speak");
    click(&mut window, "Play all turns");
    settle(&mut window);
    assert_eq!(window.state().session.monitor.source, PlaybackSource::Sound);
    assert!((window.state().session.monitor.player.seconds() - written).abs() < 1e-3);
}

/// A take that was made with room for more is made again as long as it was, whatever the setting is now.
#[test]
fn a_take_made_again_is_as_long_as_it_was() {
    let folder = TempDir::new().unwrap();
    let (mut window, length) = with_a_take(folder.path(), "The little boat sailed across the lake.");
    assert!(length > 1.5);
    window.state_mut().session.preferences.settings.max_seconds = 1.0;
    let clip = &window.state().session.inspector.current;
    let (id, before) = (clip.take.clone().unwrap(), clip.clip.codes.clone());
    window.state_mut().session.run(LibraryCommand::Regenerate { take: id, seed: RegenerateSeed::Same });
    wait(&mut window, "the take again", |s| s.session.library.store.takes().len() == 2 && !s.session.is_speaking());
    let clip = &window.state().session.inspector.current;
    assert_eq!((&clip.clip.codes, clip.clip.stop), (&before, Some(FinishReason::Eos)));
}

/// A voice prompt is recorded, encoded, and heard; the recording stays in a file.
#[test]
fn a_voice_prompt_is_recorded() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    click(&mut window, "Record");
    wait(&mut window, "half a second", |s| s.session.composer.microphone.as_ref().is_some_and(|m| m.seconds() > 0.5));
    click(&mut window, "Stop recording");
    wait(&mut window, "the voice prompt", |s| {
        s.session.composer.conversation.prompt.as_ref().is_some_and(|prompt| prompt.codes.is_some())
    });
    let prompt = window.state().session.composer.conversation.prompt.clone().unwrap();
    assert!(prompt.path.starts_with(folder.path().join("recordings")) && prompt.path.exists());
    assert!((0.5..3.0).contains(&(prompt.samples.len() as f64 / 24_000.0)));
    assert!(window.state().session.composer.microphone.is_none());
    // It is edited right below the button, and the settings stay within reach.
    let middle = |label: &str| window.get_all_by_label(label).next().unwrap().rect().center().y;
    assert!(middle("Remove the voice prompt") - middle("Record") < 40.0);
    assert!(middle("Text of the voice prompt") - middle("Record") < 80.0);
    assert!(middle("Temperature") < middle("Speak"));
}

/// A word's menu and the palette speak the word again: three takes, which have the words around it from their parent, are pinned and can be
/// played at the same word.
#[test]
fn a_word_is_said_again_in_its_place() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    window.state_mut().session.preferences.settings.autoplay = false;
    say(&mut window, "The little boat sailed across the lake.");
    generate(&mut window);
    settle(&mut window);
    let parent = window.state().session.inspector.current.take.clone().unwrap();
    let words = window.state().session.inspector.current.words.clone();
    assert_eq!(
        words.iter().map(|word| word.word.as_str()).collect::<Vec<_>>().join(" "),
        "The little boat sailed across the lake."
    );
    window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::K);
    window.run_steps(3);
    window.get_by_label("Search commands").type_text("sailed");
    window.run_steps(2);
    window.key_press(egui::Key::Enter);
    window.run_steps(3);
    let frame = (words[3].start * 12.5) as usize;
    assert_eq!(window.state().session.inspector.view.cell, Some((frame, 0)), "the word is selected");
    window.state_mut().session.run(InspectorCommand::RetakeWord { word: 3, takes: 3 });
    wait(&mut window, "three takes", |s| s.session.library.store.takes().len() == 4 && !s.session.is_speaking());
    wait(&mut window, "the pins", |s| s.session.comparison.pins.clips().len() == 3);
    let s = &window.state().session;
    let tokens = |id: &TakeId| TokenFile::read(&s.library.store.path(id).join("tokens.json"), &demo_dims()).unwrap();
    let shown = s.inspector.current.take.as_ref().unwrap();
    assert_eq!(s.inspector.current.clip.origin.edits, tokens(shown).edits, "the clip that is shown knows its edits");
    let original = tokens(&parent);
    for take in s.library.store.takes().iter().filter(|take| take.id != parent) {
        let seam = take.measures.seam.expect("a joint");
        assert_eq!((take.parent.as_ref(), take.edited), (Some(&parent), true));
        let again = tokens(&take.id).frames;
        assert_eq!(again.prefix(frame), original.frames.prefix(frame));
        let rest = again.part(seam.frame..again.len());
        assert_eq!(rest, original.frames.part(original.frames.len() - rest.len()..original.frames.len()));
        assert_eq!(take.words.len(), words.len());
    }
}

/// Words of a pinned take become part of another take of the same text: the frames before stay, the words' frames are the other's, the rest
/// follows, and the result says where each part comes from and makes itself again.
#[test]
fn words_are_taken_from_a_pinned_take() {
    let folder = TempDir::new().unwrap();
    let mut window = open(folder.path());
    let settings = &mut window.state_mut().session.preferences.settings;
    (settings.autoplay, settings.random_seed) = (false, false);
    say(&mut window, "The little boat sailed across the lake.");
    let mut made = Vec::new();
    for seed in [5, 6] {
        let sampling = csm_studio::data::Sampling { seed, ..window.state().session.composer.sampling };
        window.state_mut().session.run(ComposerCommand::SetSampling(sampling));
        generate(&mut window);
        settle(&mut window);
        made.push(window.state().session.inspector.current.take.clone().unwrap());
    }
    let (other, base) = (made[0].clone(), made[1].clone());
    window.state_mut().session.run(ComparisonCommand::TogglePin(other.clone()));
    settle(&mut window);
    let tokens = |window: &Window<'_>, id: &TakeId| {
        let path = window.state().session.library.store.path(id).join("tokens.json");
        TokenFile::read(&path, &demo_dims()).unwrap()
    };
    let (theirs, own) = (tokens(&window, &other).frames, tokens(&window, &base).frames);
    let key = window.state().session.comparison.pins.keys()[0].clone();
    for (n, words) in [0..1, 2..4, 6..7].into_iter().enumerate() {
        window.state_mut().session.run(InspectorCommand::View(base.clone()));
        settle(&mut window);
        let begins = window.state().session.inspector.current.words[words.start].start;
        window.state_mut().session.run(InspectorCommand::TakeWords { words: words.clone(), from: key.clone() });
        wait(&mut window, "the take", |s| s.session.library.store.takes().len() == 3 + n && !s.session.is_speaking());
        let id = window.state().session.inspector.current.take.clone().unwrap();
        let take = window.state().session.library.store.get(&id).unwrap().clone();
        assert_eq!((take.parent.as_ref(), take.edited), (Some(&base), true));
        let (comp, from) = (tokens(&window, &id), (begins * 12.5 + 1e-9) as usize);
        assert_eq!(comp.frames.prefix(from), own.prefix(from), "{words:?}");
        let seam = take.measures.seam.expect("a price");
        assert!(seam.bits.is_finite());
        let parts: Vec<_> = comp
            .edits
            .iter()
            .map(|edit| match edit {
                csm_studio::data::Edit::Frames { frame, frames, source } => (*frame, frames.clone(), source.clone()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!((parts[0].0, parts[0].2.as_str()), (from, other.as_str()), "the part says where it comes from");
        let middle = match parts.get(1) {
            Some((joint, _, source)) => {
                assert_eq!((*joint, source.as_str()), (seam.frame, ""));
                let rest = comp.frames.part(*joint..comp.frames.len());
                assert_eq!(rest, own.part(own.len() - rest.len()..own.len()), "{words:?}");
                comp.frames.part(from..*joint)
            }
            None => comp.frames.part(from..comp.frames.len()),
        };
        let within = (0..theirs.len()).any(|at| theirs.part(at..at + middle.len()) == middle);
        assert!(within && middle.len() > 1, "{words:?}: {} frames", middle.len());
        // From its own file it is made again.
        window.state_mut().session.run(LibraryCommand::Regenerate { take: id, seed: RegenerateSeed::Same });
        wait(&mut window, "it again", |s| s.session.library.store.takes().len() == 4 + n && !s.session.is_speaking());
        let again = window.state().session.inspector.current.take.clone().unwrap();
        assert_eq!(tokens(&window, &again).frames, comp.frames);
        window.state_mut().session.run(LibraryCommand::Delete(vec![again]));
        settle(&mut window);
    }
}
