//! The thread that starts workers, and how: clean surroundings, one channel, our own executable.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::mpsc;

use fazt_sdk::services::workers::WorkerLimits;
use fazt_sdk::{Error, Result};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::child::{LIBRARY_WORD, Setup, WORKER_FLAG};

/// Orders that may wait for the thread.
const ORDERS_MAX: usize = 64;

/// The program that is started as a worker.
#[derive(Debug, Clone)]
pub struct Program {
    executable: Executable,
    /// What stands before the words of a worker.
    arguments: Vec<OsString>,
}

#[derive(Debug, Clone)]
enum Executable {
    /// Open since the start: an upgrade may put another file in its place at any time.
    Open(Arc<File>),
    Named(PathBuf),
}

impl Program {
    /// The program that runs now, with the entry [`super::worker_main`] at its very beginning.
    ///
    /// # Errors
    /// `Internal` when it cannot be opened.
    pub fn own() -> Result<Self> {
        let failed = |error| Error::internal(format!("this program cannot be opened: {error}"));
        let executable = if cfg!(target_os = "linux") {
            Executable::Open(Arc::new(File::open("/proc/self/exe").map_err(failed)?))
        } else {
            Executable::Named(std::env::current_exe().map_err(failed)?)
        };
        Ok(Self { executable, arguments: Vec::new() })
    }

    /// With these words before those of a worker. For tests.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(OsString::from).collect();
        self
    }

    fn path(&self) -> PathBuf {
        match &self.executable {
            // The child looks this up in its own table, which still has the descriptor: it goes with
            // the exec, not before.
            Executable::Open(file) => format!("/proc/self/fd/{}", file.as_raw_fd()).into(),
            Executable::Named(path) => path.clone(),
        }
    }
}

/// A worker that is wanted.
pub(super) struct Order {
    pub(super) plugin: String,
    /// What the plugin was loaded from; nothing when it is compiled in.
    pub(super) library: Option<Arc<File>>,
    pub(super) limits: WorkerLimits,
}

/// A worker that runs.
pub(super) struct Spawned {
    pub(super) pid: u32,
    pub(super) child: Child,
    pub(super) read: OwnedReadHalf,
    pub(super) write: OwnedWriteHalf,
}

type Reply = oneshot::Sender<Result<Spawned>>;

/// The thread, as seen from outside. It ends when this is dropped, and its children with it.
pub(super) struct Spawner(mpsc::SyncSender<(Order, Reply)>);

impl Spawner {
    /// # Errors
    /// `Internal` when the system gives no thread.
    pub(super) fn new(program: Program, runtime: Handle) -> Result<Self> {
        let (orders, received) = mpsc::sync_channel::<(Order, Reply)>(ORDERS_MAX);
        let work = move || {
            let _inside = runtime.enter();
            while let Ok((order, reply)) = received.recv() {
                // Nobody waits for it any more: it goes as it came.
                drop(reply.send(spawn(&program, &order)));
            }
        };
        std::thread::Builder::new()
            .name("fazt-spawner".to_owned())
            .spawn(work)
            .map_err(|error| Error::internal(format!("there is no thread for workers: {error}")))?;
        Ok(Self(orders))
    }

    /// Starts one.
    ///
    /// # Errors
    /// `Busy` when too many wait, `Unavailable` when the system refuses.
    pub(super) async fn spawn(&self, order: Order) -> Result<Spawned> {
        let (reply, spawned) = oneshot::channel();
        self.0
            .try_send((order, reply))
            .map_err(|_| Error::busy(format!("{ORDERS_MAX} workers are being started already")))?;
        spawned.await.map_err(|_| Error::unavailable("the node is stopping"))?
    }
}

fn spawn(program: &Program, order: &Order) -> Result<Spawned> {
    let failed = |error| {
        Error::unavailable(format!("the system starts no worker for {}: {error}", order.plugin))
    };
    // Both ends close on exec; the child's is its standard input, which is made from a copy.
    let (ours, theirs) = StdUnixStream::pair().map_err(failed)?;
    ours.set_nonblocking(true).map_err(failed)?;
    // A library's memory file is born as the child's standard output: no path leads there, and its seals
    // keep the child from changing it.
    let (library, output) = match &order.library {
        Some(file) => {
            let file = file.try_clone().map_err(failed)?;
            (Some(LIBRARY_WORD), Stdio::from(OwnedFd::from(file)))
        }
        None => (None, Stdio::null()),
    };
    let mut command = std::process::Command::new(program.path());
    command
        .arg0("fazt-worker")
        .args(&program.arguments)
        .arg(WORKER_FLAG)
        .args(Setup::of(&order.plugin, &order.limits).to_words())
        .args(library)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(output)
        .stderr(Stdio::null());
    let mut command = Command::from(command);
    let child = command.kill_on_drop(true).spawn().map_err(failed)?;
    let pid = child.id().unwrap_or_default();
    let (read, write) = UnixStream::from_std(ours).map_err(failed)?.into_split();
    Ok(Spawned { pid, child, read, write })
}
