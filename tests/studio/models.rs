//! Models of the window: downloads and what is on this machine.

use std::collections::HashMap;

use super::*;
use crate::download::{Trouble, WEIGHTS, repository, serve};
use crate::support::formula;
use crate::support::layout::{Stored, Tensors, write};
use csm_studio::studio::catalogue::{CatalogueCommand, DownloadState};

/// A window with the models shown, whose downloads come from a server that gives `trouble` with the weights.
fn with_models<'a>(folder: &Path, trouble: Option<Trouble>) -> Window<'a> {
    let troubles: HashMap<_, _> = trouble.map(|trouble| (WEIGHTS, trouble)).into_iter().collect();
    let server = serve(repository(), troubles);
    // SAFETY: nextest gives this test its own process, and no other thread of it reads the environment yet.
    unsafe {
        std::env::set_var("HF_ENDPOINT", &server.endpoint);
        std::env::set_var("HF_HUB_CACHE", folder.join("hub"));
        std::env::remove_var("HF_HUB_OFFLINE");
    }
    let mut window = open(folder);
    window.get_by_label("Model").click();
    window.run_steps(3);
    click(&mut window, "Models…");
    wait(&mut window, "the list", |s| s.session.catalogue.installed.is_some());
    let names = |window: &Window<'_>| -> Vec<String> {
        window.state().session.catalogue.installed.iter().flatten().map(|model| model.name.clone()).collect()
    };
    assert_eq!(names(&window), ["csm-studio-demo-voice"]);
    window.get_by_label("Repository").focus();
    window.run_steps(2);
    window.get_by_label("Repository").type_text("https://huggingface.co/sesame/csm-1b");
    window.run_steps(2);
    click(&mut window, "Look up");
    wait(&mut window, "the plan", |s| matches!(state(s), Some(DownloadState::Planned(_))));
    window
}

fn state(studio: &Studio) -> Option<&DownloadState> {
    studio.session.catalogue.download().map(|download| &download.state)
}

fn unfinished(folder: &Path) -> usize {
    let blobs = std::fs::read_dir(folder.join("hub/models--sesame--csm-1b/blobs")).unwrap();
    blobs.filter(|blob| blob.as_ref().unwrap().path().extension().is_some_and(|e| e == "incomplete")).count()
}

#[test]
fn a_download_is_paused_resumed_and_opened() {
    let folder = TempDir::new().unwrap();
    let mut window = with_models(folder.path(), Some(Trouble::Cut(100_000)));
    click(&mut window, "Download");
    let waits = |s: &Studio| s.session.catalogue.fetched().is_some_and(|fetched| fetched.problem.is_some());
    wait(&mut window, "the cut", waits);
    click(&mut window, "Pause");
    wait(&mut window, "the pause", |s| matches!(state(s), Some(DownloadState::Paused(_, _, None))));
    assert_eq!(unfinished(folder.path()), 1);
    click(&mut window, "Resume");
    wait(&mut window, "the end", |s| s.session.catalogue.download().is_none());
    wait(&mut window, "the list", |s| s.session.catalogue.installed.as_ref().unwrap().len() == 2);
    assert_eq!(unfinished(folder.path()), 0);
    click(&mut window, "Open");
    wait(&mut window, "the model", |s| s.session.models.info().is_some_and(|info| info.name == "sesame/csm-1b"));
    wait(&mut window, "the codec", |s| s.session.models.is_ready());
}

#[test]
fn a_cancelled_download_leaves_nothing_unfinished() {
    let folder = TempDir::new().unwrap();
    let mut window = with_models(folder.path(), Some(Trouble::Cut(100_000)));
    click(&mut window, "Download");
    let has_begun = |s: &Studio| s.session.catalogue.fetched().is_some_and(|fetched| fetched.file == WEIGHTS);
    wait(&mut window, "the first bytes", has_begun);
    click(&mut window, "Cancel");
    settle(&mut window);
    assert!(window.state().session.catalogue.download().is_none());
    assert_eq!(unfinished(folder.path()), 0);
    assert!(window.state().session.notifications.all().iter().all(|n| !n.error));
}

/// The thread of a cancelled download may still run when the next one begins.
#[test]
fn a_download_begins_while_a_cancelled_one_ends() {
    let folder = TempDir::new().unwrap();
    let mut window = with_models(folder.path(), Some(Trouble::Cut(100_000)));
    click(&mut window, "Download");
    let waits = |s: &Studio| s.session.catalogue.fetched().is_some_and(|fetched| fetched.problem.is_some());
    wait(&mut window, "the cut", waits);
    // All before the waiting thread notices.
    window.state_mut().session.run(CatalogueCommand::Cancel);
    window.state_mut().session.run(CatalogueCommand::LookUp("sesame/csm-1b".into()));
    wait(&mut window, "the plan", |s| matches!(state(s), Some(DownloadState::Planned(_))));
    window.state_mut().session.run(CatalogueCommand::Download);
    let ended = |s: &Studio| {
        s.session.catalogue.download().is_none() || matches!(state(s), Some(DownloadState::Paused(_, _, Some(_))))
    };
    wait(&mut window, "the end", ended);
}

#[test]
fn a_refused_repository_says_why() {
    let folder = TempDir::new().unwrap();
    let mut window = with_models(folder.path(), None);
    window.get_by_label("Repository").focus();
    window.run_steps(2);
    window.get_by_label("Repository").type_text("!");
    window.run_steps(2);
    click(&mut window, "Look up");
    wait(&mut window, "the refusal", |s| matches!(state(s), Some(DownloadState::Failed(_))));
    let Some(DownloadState::Failed(why)) = state(window.state()) else { unreachable!() };
    assert!(why.contains("the id of a repository, such as sesame/csm-1b"), "{why}");
}

/// An adapter of rank 4 for one matrix of the demo voice.
fn write_adapter(folder: &Path) {
    let factor = |shape: &[usize], part| Stored::floats(shape, &formula::values(part, 3, 4 * 256, 0.0, 0.05));
    let name = |part| format!("base_model.model.backbone_model.layers.0.self_attn.q_proj.lora_{part}.weight");
    let tensors = Tensors::from([(name("A"), factor(&[4, 256], "a")), (name("B"), factor(&[256, 4], "b"))]);
    std::fs::create_dir_all(folder).unwrap();
    write(&folder.join("adapter_model.safetensors"), &tensors);
    std::fs::write(folder.join("adapter_config.json"), r#"{"r": 4, "lora_alpha": 8}"#).unwrap();
}

#[test]
fn an_adapter_is_used_with_a_strength_and_removed() {
    let folder = TempDir::new().unwrap();
    let adapter = folder.path().join("adapter");
    write_adapter(&adapter);
    let mut window = open(folder.path());
    let spec = csm_studio::checkpoint::AdapterSpec { folder: adapter, strength: 0.5 };
    window.state_mut().session.run(ModelsCommand::SetAdapter(Some(spec)));
    let name = |s: &Studio| s.session.models.info().map(|info| info.name.clone()).unwrap_or_default();
    wait(&mut window, "the adapter", |s| s.session.models.is_ready() && name(s).ends_with(" + adapter"));
    window.get_by_label("Model").click();
    window.run_steps(3);
    click(&mut window, "Models…");
    wait(&mut window, "the list", |s| s.session.catalogue.installed.is_some());
    click(&mut window, "Remove");
    wait(&mut window, "the demo voice", |s| s.session.models.is_ready() && name(s) == "csm-studio-demo-voice");
}
