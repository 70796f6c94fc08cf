//! Opening the window.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use eframe::UserEvent;
use winit::event_loop::{ControlFlow, EventLoop, EventLoopProxy};

use super::app::Studio;
use super::pacing::Pacing;
use super::platform;
use super::session::{Stored, StudioPaths};
use crate::audio::microphone::MicrophoneSource;
use crate::checkpoint::CheckpointSpec;
use crate::error::{BoxError, Error, Result};

/// Size of the window when it is opened first: with a title bar and a menu bar it fits a screen of 1280 × 800.
pub const FIRST_SIZE: [f32; 2] = [1_240.0, 720.0];

/// Opens the window with these files, and returns when it is closed.
///
/// # Errors
/// [`Error::Unavailable`] if there is no display or no graphics, and as [`Stored::read`].
pub fn run(model: CheckpointSpec, open: Vec<PathBuf>) -> Result<()> {
    open_window(model, open).inspect_err(platform::show_failure)
}

fn open_window(model: CheckpointSpec, open: Vec<PathBuf>) -> Result<()> {
    let folders = directories::ProjectDirs::from("", "", "csm-studio")
        .ok_or_else(|| Error::unavailable("there is no home folder", "set HOME"))?;
    let paths = StudioPaths {
        takes: crate::takes::users_folder()?,
        cache: folders.cache_dir().to_owned(),
        settings: folders.config_dir().join("settings.json"),
        sink: None,
        source: MicrophoneSource::Microphone,
        model,
        open,
    };
    let viewport = egui::ViewportBuilder::default()
        .with_title("CSM Studio")
        .with_app_id("csm-studio")
        .with_drag_and_drop(true)
        .with_inner_size(FIRST_SIZE)
        .with_min_inner_size([900.0, 560.0]);
    // Dithering is for gradients; there are none, and it is expensive on a software renderer.
    let options = eframe::NativeOptions { viewport, dithering: false, ..Default::default() };
    // Takes and settings are read while the graphics start.
    let paths = Arc::new(paths);
    let to_read = paths.clone();
    let reading = std::thread::spawn(move || Stored::read(&to_read));
    let mut builder = EventLoop::<UserEvent>::with_user_event();
    #[cfg(target_os = "macos")]
    winit::platform::macos::EventLoopBuilderExtMacOS::with_default_menu(&mut builder, false);
    let event_loop = builder.build().map_err(no_window)?;
    platform::before_run();
    event_loop.set_control_flow(ControlFlow::Wait);
    let proxy = event_loop.create_proxy();
    // eframe keeps the error of a window that it cannot open to itself, and logs it.
    let opened: Arc<Mutex<Option<Result<()>>>> = Arc::default();
    let outcome = opened.clone();
    let create = Box::new(move |c: &eframe::CreationContext<'_>| {
        let created = reading
            .join()
            .unwrap_or_else(|_| Err(Error::unavailable("reading the takes panicked", "the log has the details")))
            .map(|stored| Studio::new(&c.egui_ctx, &paths, stored));
        let (app, result) = match created {
            Ok(app) => (Some(app), Ok(())),
            Err(e) => (None, Err(e)),
        };
        *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        let app = app.ok_or("the window's files cannot be used")?;
        let adapter = c.wgpu_render_state.as_ref().map(|state| state.adapter.get_info());
        if adapter.is_some_and(|adapter| adapter.device_type == eframe::wgpu::DeviceType::Cpu) {
            app.pacing().draw_in_software();
            crate::machine::lower_renderer_priority();
        }
        pace_repaints(&c.egui_ctx, proxy, app.pacing().clone());
        Ok(Box::new(app) as Box<dyn eframe::App>)
    });
    let mut app = eframe::create_native("CSM Studio", options, create, &event_loop);
    event_loop.run_app(&mut app).map_err(no_window)?;
    let outcome = opened.lock().unwrap_or_else(PoisonError::into_inner).take();
    outcome.unwrap_or_else(|| Err(no_window("the log has the details")))
}

fn no_window(e: impl Into<BoxError>) -> Error {
    Error::Unavailable {
        what: format!("the window cannot be opened: {}", e.into()),
        hint: "`csm generate` speaks without a window".into(),
        source: None,
    }
}

/// Replaces eframe's handler of repaint requests by one that keeps the pace.
fn pace_repaints(ctx: &egui::Context, proxy: EventLoopProxy<UserEvent>, pacing: Pacing) {
    let proxy = Mutex::new(proxy);
    ctx.set_request_repaint_callback(move |request| {
        let event = UserEvent::RequestRepaint {
            viewport_id: request.viewport_id,
            when: pacing.time_of_frame(request.delay),
            cumulative_pass_nr: request.current_cumulative_pass_nr,
        };
        // The event loop may have ended by now.
        proxy.lock().unwrap_or_else(PoisonError::into_inner).send_event(event).ok();
    });
}
