//! The user's voices.

use super::*;
use csm_studio::studio::voices::VoicesCommand;
use csm_studio::voices::{StoredVoice, VoiceNotes};

fn voices(window: &mut Window<'_>) -> Vec<StoredVoice> {
    settle(window);
    window.state().session.voices.all().unwrap_or_default().to_vec()
}

#[test]
fn a_take_becomes_a_voice_and_a_voice_a_prompt() {
    let folder = TempDir::new().unwrap();
    let (mut window, length) = with_a_take(folder.path(), "The boat is small.");
    let take = window.state().session.inspector.current.take.clone().unwrap();
    window.state_mut().session.run(VoicesCommand::SaveTake(take.clone()));
    let saved = voices(&mut window);
    let sampling = window.state().session.library.store.get(&take).unwrap().sampling;
    let notes =
        VoiceNotes { text: "The boat is small.".into(), speaker: 0, source: take.as_str().to_owned(), sampling };
    assert_eq!(saved.iter().map(|voice| &voice.notes).collect::<Vec<_>>(), [&notes]);
    // It is chosen in the menu, and text and speaker come with it.
    click(&mut window, "Voices");
    click(&mut window, "The boat is small");
    wait(&mut window, "the prompt", |s| s.session.composer.conversation.prompt.is_some());
    let prompt = window.state().session.composer.conversation.prompt.clone().unwrap();
    assert_eq!((prompt.text.as_str(), prompt.speaker), ("The boat is small.", 0));
    assert!((prompt.part.1 - length).abs() < 0.01);
    // Its settings are taken over on request only, and never the seed.
    let other = csm_studio::data::SamplingParams::new(0.3, 7);
    let own = csm_studio::data::Sampling { codebook0: other, seed: 99, ..sampling.unwrap() };
    window.state_mut().session.run(ComposerCommand::SetSampling(own));
    window.state_mut().session.run(VoicesCommand::Save("Renamed".into()));
    let names: Vec<String> = voices(&mut window).into_iter().map(|voice| voice.name).collect();
    assert_eq!(names, ["Renamed", "The boat is small"]);
}

#[test]
fn a_voice_is_exported_imported_and_removed() {
    let folder = TempDir::new().unwrap();
    let (mut window, _) = with_a_take(folder.path(), "Hello.");
    let take = window.state().session.inspector.current.take.clone().unwrap();
    window.state_mut().session.run(VoicesCommand::SaveTake(take));
    let voice = voices(&mut window).remove(0);
    let to = folder.path().join("elsewhere.wav");
    window.state_mut().session.run(VoicesCommand::Export { voice: voice.path.clone(), to: to.clone() });
    settle(&mut window);
    assert_eq!(VoiceNotes::read(&to), Some(voice.notes.clone()));
    window.state_mut().session.run(VoicesCommand::Remove(voice.path.clone()));
    assert_eq!(voices(&mut window), []);
    assert!(folder.path().join("voices/removed/Hello.wav").exists(), "a removed voice is kept");
    window.state_mut().session.run(VoicesCommand::Import(to));
    let imported = voices(&mut window);
    assert_eq!((imported[0].name.as_str(), &imported[0].notes), ("elsewhere", &voice.notes));
    // What is no recording is refused and harms nothing.
    let text = folder.path().join("text.wav");
    std::fs::write(&text, "no sound").unwrap();
    window.state_mut().session.run(VoicesCommand::Import(text));
    assert_eq!(voices(&mut window).len(), 1);
    assert!(window.state().session.notifications.all().iter().any(|n| n.error && n.text.contains("text.wav")));
}
