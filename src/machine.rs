//! Memory and device of the machine.

use std::path::Path;
use std::sync::{LazyLock, OnceLock};

use crate::data::{Backend, Dtype, Mode};

/// Memory: all of it, and what programs can still take, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All memory of the machine, in bytes.
    pub total: u64,
    /// Free, or held by caches that can be evicted.
    pub available: u64,
}

/// The machine's memory; `None` if the system does not tell.
pub fn memory() -> Option<Memory> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory();
    let memory = Memory { total: system.total_memory(), available: system.available_memory() };
    (memory.total > 0).then_some(memory)
}

/// The device of MLX.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU.
    Gpu {
        /// Its name, if MLX reports it.
        name: Option<String>,
        /// Bytes that it can use without paging, if MLX reports them.
        working_set: Option<u64>,
    },
}

/// Version and device of MLX.
#[derive(Clone, Debug, Default)]
pub struct MlxFacts {
    /// Its device.
    pub device: Device,
    /// Its version, such as 0.32.2.
    pub version: Option<String>,
}

static MLX: OnceLock<MlxFacts> = OnceLock::new();

/// Records what MLX says about itself. Whoever starts MLX asks it once; later calls change nothing.
pub fn set_mlx(facts: MlxFacts) {
    MLX.get_or_init(|| facts);
}

/// Device of MLX: the processor, until MLX has been asked.
pub fn device() -> &'static Device {
    MLX.get().map_or(&Device::Cpu, |facts| &facts.device)
}

/// MLX's version; `None` until MLX has been asked.
pub fn mlx_version() -> Option<&'static str> {
    MLX.get()?.version.as_deref()
}

/// The operating system with its version: "macOS 15.5 Sequoia"; `None` if it does not tell.
pub fn operating_system() -> Option<String> {
    sysinfo::System::long_os_version().ok()
}

/// The device of the language model on MLX in this precision. Float32 is the processor's, also where there is a GPU: it reads weights
/// as they are stored, and GPUs have faster and less exact ways to compute in float32.
pub fn device_for(precision: Dtype) -> &'static Device {
    if precision == Dtype::Float32 && !graph_wanted() { &Device::Cpu } else { device() }
}

/// The device of the language model in this mode and precision. PyTorch computes on the processor.
pub fn device_of(mode: Mode, precision: Dtype) -> &'static Device {
    match mode.info().backend {
        Backend::Mlx => device_for(precision),
        Backend::Torch => &Device::Cpu,
    }
}

/// Whether the environment asks for MLX's own graph in float32 too, to compare: `CSM_STUDIO_MLX_GRAPH=1`.
pub fn graph_wanted() -> bool {
    std::env::var_os("CSM_STUDIO_MLX_GRAPH").is_some_and(|value| value == "1")
}

/// Name of the processor: "Apple M3 Max", "AMD EPYC 9R14".
fn processor() -> Option<&'static str> {
    static NAME: LazyLock<Option<String>> = LazyLock::new(|| {
        let mut system = sysinfo::System::new().ok()?;
        system.refresh_cpu_list(sysinfo::CpuRefreshKind::nothing());
        system.cpus().first().map(|cpu| cpu.brand().trim().to_owned()).filter(|brand| !brand.is_empty())
    });
    NAME.as_deref()
}

/// Has MLX collect more work in a Metal command buffer, unless the user has set how much. By default it commits after 40 to 50 MB, which
/// is after every large product of CSM-1B. Others measured 5 to 13 % with larger buffers on chips before the M5 (mlx #4521 and
/// mlxcel #353), and a loss on the M5; here nothing was measured, as no Mac was at hand.
///
/// # Safety
/// No other thread may run, as it changes the environment; and MLX must not have started, as it reads the values once.
pub(crate) unsafe fn enlarge_command_buffers() {
    // Elsewhere the processor is not even asked for.
    if !cfg!(target_os = "macos") || processor().and_then(apple_generation).is_none_or(|generation| generation >= 5) {
        return;
    }
    for (name, value) in [("MLX_MAX_OPS_PER_BUFFER", "1000"), ("MLX_MAX_MB_PER_BUFFER", "400")] {
        if std::env::var_os(name).is_none() {
            // SAFETY: the caller's promise.
            unsafe { std::env::set_var(name, value) };
        }
    }
}

/// The generation of an Apple chip: 3 of "Apple M3 Max".
fn apple_generation(processor: &str) -> Option<u32> {
    let digits = processor.strip_prefix("Apple M")?;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A device with its name: "Metal, Apple M3 Max", "CPU, AMD EPYC 9R14".
pub fn device_name(device: &Device) -> String {
    let (kind, name) = match device {
        Device::Cpu => ("CPU", processor()),
        Device::Gpu { name, .. } if cfg!(target_os = "macos") => ("Metal", name.as_deref()),
        Device::Gpu { name, .. } => ("CUDA", name.as_deref()),
    };
    name.map_or(kind.to_owned(), |name| format!("{kind}, {name}"))
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

/// Bytes of address space that this process can still take; `None` without a limit (`ulimit -v`), or if the system does not tell.
pub fn address_space_left() -> Option<u64> {
    // SAFETY: the call fills the structure, whose numbers may all be 0.
    let limit = unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        (libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) == 0).then_some(limit.rlim_cur)?
    };
    if limit == libc::RLIM_INFINITY {
        return None;
    }
    let mut system = sysinfo::System::new().ok()?;
    let own = sysinfo::get_current_pid().ok()?;
    system.refresh_processes_specifics(
        sysinfo::ProcessesToUpdate::Some(&[own]),
        false,
        sysinfo::ProcessRefreshKind::nothing().with_memory(),
    );
    Some(limit.saturating_sub(system.process(own)?.virtual_memory()))
}

/// Address space that a program needs beside its libraries to reach the check of a model's size in good order, bytes: OpenBLAS takes
/// 128 MB for each of its threads, and where that fails it ends the process or waits for ever.
#[cfg(target_os = "linux")]
const START: u64 = 384 << 20;

/// Whether [`before_libraries`] set the interrupt signal aside.
#[cfg(target_os = "linux")]
static SET_ASIDE: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Lets the interrupt signal through again, which OpenBLAS sends to its own process where a thread cannot be started.
pub(crate) fn after_libraries() {
    #[cfg(target_os = "linux")]
    if SET_ASIDE.swap(false, std::sync::atomic::Ordering::Relaxed) {
        // SAFETY: the default action runs no code of ours.
        unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
    }
}

/// Refuses a limit of the address space (`ulimit -v`) under which no program could start. To be the program's `.preinit_array`: the
/// libraries' own constructors allocate, and end the process without a word.
#[cfg(target_os = "linux")]
#[doc(hidden)]
pub extern "C" fn before_libraries() {
    // SAFETY: ignoring a signal runs no code of ours.
    let before = unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
    SET_ASIDE.store(before == libc::SIG_DFL, std::sync::atomic::Ordering::Relaxed);
    let pages = || {
        let mut text = [0u8; 64];
        // SAFETY: the buffer is as long as is said, the descriptor is closed here, and nothing else runs yet.
        let n = unsafe {
            let file = libc::open(c"/proc/self/statm".as_ptr(), libc::O_RDONLY);
            let n = libc::read(file, text.as_mut_ptr().cast(), text.len());
            libc::close(file);
            usize::try_from(n).unwrap_or(0)
        };
        let digits = text[..n].iter().take_while(|byte| byte.is_ascii_digit());
        digits.fold(0u64, |number, digit| number * 10 + u64::from(digit - b'0'))
    };
    // SAFETY: the call fills the structure, whose numbers may all be 0; the page's size is a constant of the system.
    let (limit, page) = unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        let known = libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) == 0;
        (if known { limit.rlim_cur } else { libc::RLIM_INFINITY }, libc::sysconf(libc::_SC_PAGESIZE))
    };
    if limit == libc::RLIM_INFINITY || limit >= pages() * u64::try_from(page).unwrap_or(4_096) + START {
        return;
    }
    let words = b"error: too little memory: the limit of this process's address space is below what its libraries take\n  hint: raise the limit (ulimit -v)\n";
    // SAFETY: the buffer is as long as is said; nothing of the program has run that would have to be ended first.
    unsafe {
        libc::write(2, words.as_ptr().cast(), words.len());
        libc::_exit(3);
    }
}

/// Lowers the priority of the threads of Mesa's software renderer. They draw at full speed on idle processors, and take about a tenth
/// of one that the model needs.
pub(crate) fn lower_renderer_priority() {
    #[cfg(target_os = "linux")]
    for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        /// On the scale from -20 to 19: a weight of 110 against 1024 (`sched(7)`).
        const NICE: libc::c_int = 10;
        let name = std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
        let Some(id) = thread.file_name().to_str().and_then(|id| id.parse().ok()) else { continue };
        // SAFETY: the call takes plain numbers and changes a priority only.
        if name.starts_with("llvmpipe") && unsafe { libc::setpriority(libc::PRIO_PROCESS, id, NICE) } != 0 {
            tracing::debug!("the renderer's thread keeps its priority: {}", std::io::Error::last_os_error());
        }
    }
}

/// Bytes that can still be written to the disk of `path`, or of the nearest folder above it that exists; `None` if the
/// system does not tell.
pub fn free_disk(path: &Path) -> Option<u64> {
    let existing = path.ancestors().find(|p| p.exists())?;
    let existing = if existing == Path::new("") { Path::new(".") } else { existing };
    fs4::available_space(existing).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apple_chips_have_a_generation() {
        let chips = ["Apple M1", "Apple M3 Max", "Apple M10 Ultra", "Apple A18 Pro", "AMD EPYC 9R14"];
        assert_eq!(chips.map(apple_generation), [Some(1), Some(3), Some(10), None, None]);
    }
}
