//! The device of MLX.

use std::ffi::{CStr, c_char};
use std::sync::LazyLock;

use mlx_rs::{Device, DeviceType, Stream};

use crate::data::Dtype;
use crate::error::{Error, Result};
use crate::machine::{self, MlxFacts};

/// MLX's switch for float32 products with factors of 10 bits of mantissa, which GPUs compute faster. MLX reads it once.
const TF32: &str = "MLX_ENABLE_TF32";

/// Asks MLX for its device and version, so that [`machine::device`] knows them. On a GPU, limits the buffers that MLX keeps for reuse.
///
/// # Errors
/// [`Error::Engine`] with the error of MLX, or if TF32 is not switched off, without which no float32 result is PyTorch's.
pub fn find_device() -> Result<()> {
    /// Buffers that are kept between frames; more would be memory that no other program can use.
    const CACHE_LIMIT: usize = 512 << 20;
    if std::env::var_os(TF32).is_none_or(|value| value != "0") {
        return Err(Error::Engine { backend: "MLX", source: format!("{TF32} is not 0 in this process").into() });
    }
    #[cfg(target_os = "macos")]
    use_kernels_of_the_app()?;
    if !on_cpu() {
        mlx_rs::memory::set_cache_limit(CACHE_LIMIT)?;
    }
    Ok(())
}

/// In an application's bundle MLX's kernels lie in `Resources`; elsewhere MLX finds them next to its library.
#[cfg(target_os = "macos")]
fn use_kernels_of_the_app() -> Result<()> {
    let program = std::env::current_exe().ok();
    let contents = program.as_ref().and_then(|program| program.parent()?.parent());
    match contents.map(|contents| contents.join("Resources/mlx.metallib")).filter(|path| path.is_file()) {
        Some(path) => Ok(mlx_rs::metal::set_metallib_path(path.to_string_lossy())?),
        None => Ok(()),
    }
}

/// Gives back the buffers that MLX keeps for reuse on a GPU.
///
/// # Errors
/// [`Error::Engine`] with the error of MLX.
pub(crate) fn release_cache() -> Result<()> {
    if on_cpu() { Ok(()) } else { Ok(mlx_rs::memory::clear_cache()?) }
}

/// Whether MLX computes on the CPU, because its library has no GPU backend or the machine has no GPU.
pub(super) fn on_cpu() -> bool {
    #[cfg(test)]
    if super::fast::pretended_gpu::is_on() {
        return false;
    }
    *device() == machine::Device::Cpu
}

/// Where the language model is computed in this precision.
pub(super) fn stream_for(precision: Dtype) -> Stream {
    match machine::device_for(precision) {
        machine::Device::Cpu => Stream::cpu(),
        machine::Device::Gpu { .. } => Stream::new(),
    }
}

/// MLX's default device. Asked once; the layer of the machine learns it too.
fn device() -> &'static machine::Device {
    static ASKED: LazyLock<()> = LazyLock::new(|| {
        let default = Device::try_default();
        let device = match default.as_ref().map(Device::get_type) {
            Ok(Ok(DeviceType::Gpu)) => gpu(),
            _ => machine::Device::Cpu,
        };
        machine::set_mlx(MlxFacts { device, version: version() });
    });
    LazyLock::force(&ASKED);
    machine::device()
}

/// The GPU as MLX describes it. Its keys: `mlx/backend/{metal,cuda}/device_info.cpp`.
fn gpu() -> machine::Device {
    // SAFETY: the device and the description live until they are freed; strings of the description are copied before.
    unsafe {
        let gpu = mlx_sys::mlx_device_new_type(mlx_sys::mlx_device_type__MLX_GPU, 0);
        let mut info = mlx_sys::mlx_device_info_new();
        let described = mlx_sys::mlx_device_info_get(&raw mut info, gpu) == 0;
        let name = || {
            let mut text: *const c_char = std::ptr::null();
            let found = mlx_sys::mlx_device_info_get_string(&raw mut text, info, c"device_name".as_ptr()) == 0;
            (found && !text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
        };
        let size = |key: &CStr| {
            let mut bytes = 0;
            (mlx_sys::mlx_device_info_get_size(&raw mut bytes, info, key.as_ptr()) == 0).then_some(bytes as u64)
        };
        let device = machine::Device::Gpu {
            name: described.then(name).flatten(),
            working_set: described.then(|| size(c"max_recommended_working_set_size")).flatten(),
        };
        mlx_sys::mlx_device_info_free(info);
        mlx_sys::mlx_device_free(gpu);
        device
    }
}

fn version() -> Option<String> {
    // SAFETY: the string lives until it is freed, and is copied before.
    unsafe {
        let mut text = mlx_sys::mlx_string_new();
        let found = mlx_sys::mlx_version(&raw mut text) == 0;
        let data = mlx_sys::mlx_string_data(text);
        let version = (found && !data.is_null()).then(|| CStr::from_ptr(data).to_string_lossy().into_owned());
        mlx_sys::mlx_string_free(text);
        version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// nextest runs each test in its own process.
    #[test]
    fn mlx_is_refused_while_tf32_is_on() {
        // SAFETY: no other thread of this process runs.
        unsafe { std::env::remove_var(TF32) };
        assert!(find_device().unwrap_err().to_string().contains(TF32));
        // SAFETY: as above.
        unsafe { std::env::set_var(TF32, "0") };
        find_device().unwrap();
        assert_eq!(machine::mlx_version().map(str::len), Some("0.32.2".len()), "{:?}", machine::mlx_version());
    }
}
