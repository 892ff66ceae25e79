//! The plugin's settings, each with its unit.

use std::time::Duration;

use fazt_sdk::host::Host;
use fazt_sdk::setting::Setting;
use fazt_sdk::{Error, Result};

/// Where code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// In processes of their own.
    Cell,
    /// On threads of the node, for those who trust their apps.
    Thread,
}

/// What apps' code may use.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) isolation: Isolation,
    pub(crate) cpu_ms: u32,
    pub(crate) root_cpu_ms: u32,
    pub(crate) cpu_minute_ms: u64,
    pub(crate) wall_ms: u32,
    pub(crate) memory_bytes: u64,
    pub(crate) job_memory_bytes: u64,
    pub(crate) stack_bytes: u32,
    pub(crate) body_bytes: u64,
    pub(crate) upload_bytes: u64,
    pub(crate) response_bytes: u32,
    pub(crate) log_lines: u32,
    pub(crate) log_rows: u64,
    pub(crate) log_bytes: u64,
    pub(crate) interleave: u16,
    pub(crate) queue: usize,
    pub(crate) queue_ms: u64,
    pub(crate) cells_app: usize,
    /// Of the machine, asked once: to ask reads files.
    pub(crate) processors: usize,
    pub(crate) cells_node: usize,
    pub(crate) idle_ms: u64,
    pub(crate) calls: u32,
    pub(crate) dev: bool,
}

/// Bodies of uploads, whatever the setting says.
pub(crate) const UPLOAD_BYTES_CEILING: u64 = 100 << 20;

/// Three quarters of one processor's minute.
const SHARE_MS: u64 = 45_000;

/// The most cells of a node, whatever the setting says.
const CELLS_MAX: usize = 48;

/// All of them.
pub(crate) fn all() -> Vec<Setting> {
    let seconds = Duration::from_secs;
    vec![
        Setting::text("isolation", "cell").doc("Where apps' code runs: `cell`, a sandboxed process for each app, or `thread`, inside the node, for apps that you trust."),
        Setting::duration("cpu_ms", seconds(5), seconds(300)).doc("Processor time of one request."),
        Setting::duration("root_cpu_ms", Duration::from_millis(100), seconds(300)).doc("Processor time of one request to a `main.js` at the root."),
        Setting::duration("cpu_minute_ms", Duration::ZERO, seconds(48 * 60)).doc("Processor time of all requests of one app in a minute; more are answered with 429. 0 stands for three quarters of the machine."),
        Setting::duration("wall_ms", seconds(30), seconds(30)).doc("Time in which a request must be answered, waiting included."),
        Setting::bytes("memory_bytes", 64 << 20, 4 << 30).doc("Memory of one cell."),
        Setting::bytes("job_memory_bytes", 256 << 20, 4 << 30).doc("Memory that a job may ask for; one that does not ask has `js.memory_bytes`."),
        Setting::bytes("stack_bytes", 512 << 10, 8 << 20).doc("Stack of the interpreter."),
        Setting::bytes("body_bytes", 1 << 20, UPLOAD_BYTES_CEILING).doc("Size of a request's body, but for uploads."),
        Setting::bytes("upload_bytes", 10 << 20, UPLOAD_BYTES_CEILING).doc("Size of a request's body that is a form with files or names no text."),
        Setting::bytes("response_bytes", 10 << 20, 60 << 20).doc("Size of a response that is not streamed."),
        Setting::integer("log_lines", 200, 0, 100_000).doc("Log lines of one request; later ones are counted and dropped."),
        Setting::integer("log_rows", 10_000, 0, 1_000_000).doc("Log lines that are kept of one app; the oldest go first."),
        Setting::bytes("log_bytes", 8 << 20, 1 << 30).doc("Log that is kept of one app; the oldest goes first."),
        Setting::integer("interleave", 64, 1, 1_000).doc("Requests at a time in one cell, in module style."),
        Setting::integer("queue", 1_000, 0, 100_000).doc("Requests of one app that may wait for a cell; more are answered with 503."),
        Setting::duration("queue_ms", seconds(10), seconds(30)).doc("How long a request waits for a cell before it is answered with 503."),
        Setting::integer("cells_app", 0, 0, 48).doc("Cells of one app; 0 stands for one for each processor, at least four where an app's style needs them."),
        Setting::integer("cells_node", 0, 0, 48).doc("Cells of all apps; 0 stands for as many as fit into half of the memory."),
        Setting::duration("idle_ms", seconds(300), seconds(86_400)).doc("How long a cell that nobody asks stays."),
        Setting::integer("calls", 1_000, 1, 1_000_000).doc("Calls of one request into the node that may be under way at a time."),
        Setting::switch("dev", false).doc("Whether errors are answered with message and stack."),
    ]
}

impl Limits {
    /// Reads all of them.
    ///
    /// # Errors
    /// `Invalid` for an isolation that there is not.
    pub(crate) fn read(host: &Host) -> Result<Self> {
        let isolation: String = host.setting("isolation")?;
        let isolation = match &*isolation {
            "cell" => Isolation::Cell,
            "thread" => Isolation::Thread,
            other => {
                return Err(Error::invalid(format!(
                    "js.isolation is `cell` or `thread`, not `{other}`"
                )));
            }
        };
        let memory_bytes = host.setting::<u64>("memory_bytes")?.max(1 << 20);
        let mut limits = Self {
            isolation,
            cpu_ms: host.setting("cpu_ms")?,
            root_cpu_ms: host.setting("root_cpu_ms")?,
            cpu_minute_ms: host.setting("cpu_minute_ms")?,
            wall_ms: host.setting("wall_ms")?,
            memory_bytes,
            job_memory_bytes: host.setting::<u64>("job_memory_bytes")?.max(memory_bytes),
            stack_bytes: host.setting::<u32>("stack_bytes")?.max(64 << 10),
            body_bytes: host.setting("body_bytes")?,
            upload_bytes: host.setting("upload_bytes")?,
            response_bytes: host.setting("response_bytes")?,
            log_lines: host.setting("log_lines")?,
            log_rows: host.setting("log_rows")?,
            log_bytes: host.setting("log_bytes")?,
            interleave: host.setting("interleave")?,
            queue: host.setting("queue")?,
            queue_ms: host.setting("queue_ms")?,
            cells_app: host.setting("cells_app")?,
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            cells_node: host.setting("cells_node")?,
            idle_ms: host.setting("idle_ms")?,
            calls: host.setting("calls")?,
            dev: host.setting("dev")?,
        };
        if limits.cpu_minute_ms == 0 {
            limits.cpu_minute_ms = SHARE_MS.saturating_mul(limits.processors as u64);
        }
        if limits.cells_node == 0 {
            limits.cells_node = cells_by_memory(memory_bytes);
        }
        Ok(limits)
    }

    /// Cells of one app whose requests each need a cell of their own, or share one.
    pub(crate) fn cells_of_app(&self, shares: bool) -> usize {
        let wanted = match self.cells_app {
            0 if shares => self.processors,
            0 => self.processors.max(4),
            given => given,
        };
        wanted.min(self.cells_node).max(1)
    }
}

/// As many as fit into half of the memory, at least four.
#[cfg(target_os = "linux")]
fn cells_by_memory(memory_bytes: u64) -> usize {
    let machine = rustix::system::sysinfo();
    let total = machine.totalram.saturating_mul(machine.mem_unit.into());
    usize::try_from(total / 2 / memory_bytes.max(1)).unwrap_or(CELLS_MAX).clamp(4, CELLS_MAX)
}

/// A few, where the system does not say how much memory there is.
#[cfg(not(target_os = "linux"))]
fn cells_by_memory(_: u64) -> usize {
    8
}
