//! macOS: menus, files from Finder and the Dock, quitting, App Nap.
//!
//! AppKit's delegate is winit's own object, and winit 0.30 panics if it finds another (its issue 4015). So methods are added to the class
//! of that object instead; winit 0.31 registers no delegate, and then one of our own can take their place.

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use muda::accelerator::Accelerator;
use muda::{AboutMetadata, Menu as MenuBar, MenuEvent, MenuItem, PredefinedMenuItem, Submenu};
use objc2::rc::Retained;
use objc2::runtime::{AnyObject, Bool, Imp, NSObjectProtocol, ProtocolObject, Sel};
use objc2::{MainThreadMarker, sel};
use objc2_app_kit::{NSApplication, NSDocumentController};
use objc2_foundation::{NSActivityOptions, NSArray, NSProcessInfo, NSString, NSURL};

use super::SystemRequest;
use crate::error::Error;
use crate::studio::command::COMMANDS;
use crate::studio::menu::{APPLICATION, MENUS};

/// Requests of the system since the last frame. AppKit calls back without any context of ours.
static REQUESTS: Mutex<Vec<SystemRequest>> = Mutex::new(Vec::new());
/// Whether something is being made, which a quit would lose.
static WORKING: AtomicBool = AtomicBool::new(false);
/// The window, to be repainted when there is a request.
static WINDOW: Mutex<Option<egui::Context>> = Mutex::new(None);

fn ask(request: SystemRequest) {
    REQUESTS.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    if let Some(window) = &*WINDOW.lock().unwrap_or_else(PoisonError::into_inner) {
        window.request_repaint();
    }
}

/// `application:openURLs:`
unsafe extern "C-unwind" fn open_urls(
    _delegate: &AnyObject,
    _selector: Sel,
    _application: &NSApplication,
    urls: &NSArray<NSURL>,
) {
    for url in urls {
        if let Some(path) = url.path() {
            ask(SystemRequest::Open(PathBuf::from(path.to_string())));
        }
    }
}

/// `applicationShouldTerminate:`, an `NSApplicationTerminateReply`.
unsafe extern "C-unwind" fn should_terminate(
    _delegate: &AnyObject,
    _selector: Sel,
    _application: &NSApplication,
) -> usize {
    const CANCEL: usize = 0;
    const NOW: usize = 1;
    if WORKING.load(Ordering::Relaxed) {
        ask(SystemRequest::Quit);
        CANCEL
    } else {
        NOW
    }
}

/// `applicationSupportsSecureRestorableState:`, which AppKit asks for in its log.
unsafe extern "C-unwind" fn secure_state(_delegate: &AnyObject, _selector: Sel, _application: &NSApplication) -> Bool {
    Bool::YES
}

/// Adds what winit's delegate lacks. After the event loop is made, before it runs: files that the program is started with arrive while
/// AppKit starts.
pub(in crate::studio) fn before_run() {
    let Some(main_thread) = MainThreadMarker::new() else { return };
    let application = NSApplication::sharedApplication(main_thread);
    let Some(delegate) = application.delegate() else {
        return tracing::warn!("AppKit has no delegate: files from Finder will not arrive");
    };
    let object: &AnyObject = delegate.as_ref();
    let class = std::ptr::from_ref(object.class()).cast_mut();
    // SAFETY: the functions have the signatures of their selectors, as the types say: v = nothing, Q = an unsigned word, B = a boolean,
    // @ = an object, : = a selector. They live as long as the program.
    unsafe {
        let methods: [(Sel, Imp, &CStr); 3] = [
            (
                sel!(application:openURLs:),
                std::mem::transmute::<unsafe extern "C-unwind" fn(&AnyObject, Sel, &NSApplication, &NSArray<NSURL>), Imp>(
                    open_urls,
                ),
                c"v@:@@",
            ),
            (
                sel!(applicationShouldTerminate:),
                std::mem::transmute::<unsafe extern "C-unwind" fn(&AnyObject, Sel, &NSApplication) -> usize, Imp>(
                    should_terminate,
                ),
                c"Q@:@",
            ),
            (
                sel!(applicationSupportsSecureRestorableState:),
                std::mem::transmute::<unsafe extern "C-unwind" fn(&AnyObject, Sel, &NSApplication) -> Bool, Imp>(
                    secure_state,
                ),
                c"B@:@",
            ),
        ];
        for (selector, function, types) in methods {
            objc2::ffi::class_addMethod(class, selector, function, types.as_ptr());
        }
    }
    // AppKit remembers which methods a delegate has from when it was set.
    application.setDelegate(None);
    application.setDelegate(Some(&delegate));
}

/// The menu bar, and the activity that keeps the system awake.
pub(in crate::studio) struct Platform {
    _menu_bar: Option<MenuBar>,
    activity: Option<Retained<ProtocolObject<dyn NSObjectProtocol>>>,
}

impl Platform {
    /// After the application has started, on the main thread.
    pub(in crate::studio) fn new(ctx: &egui::Context) -> Self {
        *WINDOW.lock().unwrap_or_else(PoisonError::into_inner) = Some(ctx.clone());
        MenuEvent::set_event_handler(Some(|event: MenuEvent| {
            if let Some(command) = COMMANDS.iter().find(|command| command.title == event.id().0) {
                ask(SystemRequest::Command(command.title));
            }
        }));
        let menu_bar = menu_bar().inspect_err(|e| tracing::warn!("no menu bar: {e}")).ok();
        Self { _menu_bar: menu_bar, activity: None }
    }

    pub(in crate::studio) fn requests(&self) -> Vec<SystemRequest> {
        std::mem::take(&mut REQUESTS.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether something is being made: then quitting asks, a covered window's threads are not slowed down, and the system does not sleep.
    pub(in crate::studio) fn set_working(&mut self, working: bool) {
        WORKING.store(working, Ordering::Relaxed);
        if working == self.activity.is_some() {
            return;
        }
        let process = NSProcessInfo::processInfo();
        match self.activity.take() {
            // SAFETY: it began with the call below.
            Some(activity) => unsafe { process.endActivity(&activity) },
            None => {
                let reason = NSString::from_str("speaking");
                self.activity =
                    Some(process.beginActivityWithOptions_reason(NSActivityOptions::UserInitiated, &reason));
            }
        }
    }
}

fn menu_bar() -> muda::Result<MenuBar> {
    let bar = MenuBar::new();
    let about = AboutMetadata {
        name: Some("CSM Studio".into()),
        version: Some(env!("CARGO_PKG_VERSION").into()),
        comments: Some("The speech is synthetic.".into()),
        ..AboutMetadata::default()
    };
    let item_of = |title: &str| {
        let command = COMMANDS.iter().find(|command| command.title == title)?;
        // A key without Cmd would be taken from text fields.
        let key = command.key.filter(|_| command.works_in_text()).and_then(accelerator);
        Some(MenuItem::with_id(command.title, command.title, true, key))
    };
    let application = Submenu::new(APPLICATION, true);
    application.append(&PredefinedMenuItem::about(None, Some(about)))?;
    application.append(&PredefinedMenuItem::separator())?;
    for title in MENUS.iter().filter(|menu| menu.title == APPLICATION).flat_map(|menu| menu.commands) {
        item_of(title).map_or(Ok(()), |item| application.append(&item))?;
    }
    application.append_items(&[
        &PredefinedMenuItem::separator(),
        &PredefinedMenuItem::services(None),
        &PredefinedMenuItem::separator(),
        &PredefinedMenuItem::hide(None),
        &PredefinedMenuItem::hide_others(None),
        &PredefinedMenuItem::show_all(None),
        &PredefinedMenuItem::separator(),
        &PredefinedMenuItem::quit(None),
    ])?;
    bar.append(&application)?;
    // The selectors that file panels know; the window's own text fields take the keys themselves.
    let edit = Submenu::with_items(
        "Edit",
        true,
        &[
            &PredefinedMenuItem::undo(None),
            &PredefinedMenuItem::redo(None),
            &PredefinedMenuItem::separator(),
            &PredefinedMenuItem::cut(None),
            &PredefinedMenuItem::copy(None),
            &PredefinedMenuItem::paste(None),
            &PredefinedMenuItem::select_all(None),
        ],
    )?;
    let window = Submenu::with_items(
        "Window",
        true,
        &[
            &PredefinedMenuItem::minimize(None),
            &PredefinedMenuItem::zoom(None),
            &PredefinedMenuItem::fullscreen(None),
            &PredefinedMenuItem::separator(),
            &PredefinedMenuItem::close_window(None),
            &PredefinedMenuItem::bring_all_to_front(None),
        ],
    )?;
    let mut help = None;
    for menu in MENUS.iter().filter(|menu| menu.title != APPLICATION) {
        let submenu = Submenu::new(menu.title, true);
        for title in menu.commands {
            match item_of(title) {
                Some(item) => submenu.append(&item)?,
                None => submenu.append(&PredefinedMenuItem::separator())?,
            }
        }
        if menu.title == "Help" {
            bar.append(&window)?;
            help = Some(submenu.clone());
        }
        bar.append(&submenu)?;
        if menu.title == "File" {
            bar.append(&edit)?;
        }
    }
    bar.init_for_nsapp();
    window.set_as_windows_menu_for_nsapp();
    help.iter().for_each(Submenu::set_as_help_menu_for_nsapp);
    Ok(bar)
}

/// A key as AppKit's menus write it.
fn accelerator(key: egui::KeyboardShortcut) -> Option<Accelerator> {
    let shift = if key.modifiers.shift { "Shift+" } else { "" };
    let command = if key.modifiers.command { "Cmd+" } else { "" };
    let name = match key.logical_key {
        egui::Key::Plus => "=",
        other => other.name(),
    };
    format!("{command}{shift}{name}").parse().inspect_err(|e| tracing::debug!("{name}: {e}")).ok()
}

/// Adds a file to the recent ones of the Dock's menu.
pub(in crate::studio) fn note_recent(path: &Path) {
    let Some(main_thread) = MainThreadMarker::new() else { return };
    let Some(path) = path.to_str() else { return };
    let url = NSURL::fileURLWithPath(&NSString::from_str(path));
    NSDocumentController::sharedDocumentController(main_thread).noteNewRecentDocumentURL(&url);
}

/// Shows why the program cannot start in a box: nobody sees standard error of a program that Finder started.
pub(in crate::studio) fn show_failure(error: &Error) {
    const LAUNCHD: u32 = 1;
    if std::os::unix::process::parent_id() == LAUNCHD {
        rfd::MessageDialog::new()
            .set_level(rfd::MessageLevel::Error)
            .set_title("CSM Studio cannot start")
            .set_description(error.to_string())
            .show();
    }
}
