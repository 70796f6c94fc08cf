//! What the machine has.

use std::path::Path;
use std::sync::OnceLock;

/// Memory: all of it, and what programs can still take, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All memory of the machine, in bytes.
    pub total: u64,
    /// Free, or held by caches that give way.
    pub available: u64,
}

/// The machine's memory; `None` if the system does not tell.
pub fn memory() -> Option<Memory> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory();
    let memory = Memory { total: system.total_memory(), available: system.available_memory() };
    (memory.total > 0).then_some(memory)
}

/// What MLX computes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU, and the bytes that it can work with without paging if they are known.
    Gpu {
        /// The GPU's working set, in bytes.
        working_set: Option<u64>,
    },
}

static DEVICE: OnceLock<Device> = OnceLock::new();

/// Records what MLX computes on. Whoever starts MLX asks it once; later calls change nothing.
pub fn set_device(device: Device) {
    DEVICE.get_or_init(|| device);
}

/// What MLX computes on: the processor, until MLX has been asked.
pub fn device() -> Device {
    DEVICE.get().copied().unwrap_or_default()
}

/// The device with its name: "Metal, Apple M3 Max", "CPU, AMD EPYC 9R14".
pub fn device_name() -> String {
    let kind = match device() {
        Device::Cpu => "CPU",
        Device::Gpu { .. } if cfg!(target_os = "macos") => "Metal",
        Device::Gpu { .. } => "CUDA",
    };
    let processor = sysinfo::System::new().ok().and_then(|mut system| {
        system.refresh_cpu_list(sysinfo::CpuRefreshKind::nothing());
        system.cpus().first().map(|cpu| cpu.brand().trim().to_owned()).filter(|brand| !brand.is_empty())
    });
    processor.map_or(kind.to_owned(), |name| format!("{kind}, {name}"))
}

/// The most memory that this process has held, in bytes; `None` if the system does not tell.
pub fn peak_memory() -> Option<u64> {
    // SAFETY: the call fills the structure, whose numbers may all be 0.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) == 0).then_some(usage)?
    };
    let unit = if cfg!(target_os = "macos") { 1 } else { 1 << 10 };
    u64::try_from(usage.ru_maxrss).ok().map(|held| held * unit)
}

/// Bytes that can still be written to the disk of `path`, or of the nearest folder above it that exists; `None` if the
/// system does not tell.
pub fn free_disk(path: &Path) -> Option<u64> {
    let existing = path.ancestors().find(|p| p.exists())?;
    let existing = if existing == Path::new("") { Path::new(".") } else { existing };
    fs4::available_space(existing).ok()
}
