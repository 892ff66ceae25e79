//! One process per cartridge.
//!
//! Two locks, both owned by an open file description (`flock`): they end with the process, whatever
//! ends it, so a file left behind is never in the way.
//! - `<real path>.lock` carries the holder's process id for the message, and exists only while held.
//! - The cartridge's own inode, which is the same behind symbolic links, hard links and bind mounts.
//!
//! A third guard lives inside the process: closing *any* descriptor of a file drops the locks that
//! SQLite holds on it, so a cartridge that this process has open is found by (device, inode) in a
//! table, and its file is not opened a second time.

use std::{
    collections::HashSet,
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{Mode, error::CartridgeError, file};
use crate::clock::Clock;

/// The right to open a cartridge. Given back when dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    /// Both are open for as long as the cartridge's connections, see the module.
    held: Option<(File, File)>,
    inode: Inode,
}

/// Device and inode number.
type Inode = (u64, u64);

impl Lock {
    /// Takes both locks for the resolved `path`. A command waits up to five seconds for another
    /// command; everything else is refused at once.
    pub(super) fn take(path: &Path, mode: Mode, clock: &dyn Clock) -> Result<Self, CartridgeError> {
        let start = clock.monotonic();
        for _ in 0..=COMMAND_WAITS {
            match Self::try_take(path, mode) {
                Err(CartridgeError::Locked { holder, .. })
                    if holder.ends_with(COMMAND_NOTE)
                        && clock.monotonic().saturating_sub(start) < COMMAND_WAIT =>
                {
                    std::thread::sleep(COMMAND_WAIT / COMMAND_WAITS);
                }
                other => return other,
            }
        }
        Self::try_take(path, mode)
    }

    /// Whether some process has the cartridge open. Leaves nothing behind.
    pub(super) fn holder(path: &Path) -> Option<String> {
        match Self::try_take(path, Mode::Command) {
            Err(CartridgeError::Locked { holder, .. }) => Some(holder),
            _ => None,
        }
    }

    fn try_take(path: &Path, mode: Mode) -> Result<Self, CartridgeError> {
        let found = path.metadata().map_err(|e| CartridgeError::io("look at", path, &e))?;
        let inode = (found.dev(), found.ino());
        let locked = |holder: String| CartridgeError::Locked { path: path.into(), holder };
        let registered = Registered::new(inode)
            .ok_or_else(|| locked(format!("process {} (this one)", std::process::id())))?;
        let note_path = file::beside(path, ".lock");
        let mut note = open_note(&note_path)?.map_err(locked)?;
        let cartridge = File::open(path).map_err(|e| CartridgeError::io("open", path, &e))?;
        match cartridge.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                drop(std::fs::remove_file(&note_path));
                return Err(locked(holder_of(inode)));
            }
            Err(TryLockError::Error(e)) => return Err(CartridgeError::io("lock", path, &e)),
        }
        if found.nlink() > 1 {
            drop(std::fs::remove_file(&note_path));
            return Err(CartridgeError::HardLinked { path: path.into(), links: found.nlink() });
        }
        let text = match mode {
            Mode::Serve => format!("process {} (server)\n", std::process::id()),
            Mode::Command => format!("process {} {COMMAND_NOTE}\n", std::process::id()),
        };
        note.set_len(0)
            .and_then(|()| note.rewind())
            .and_then(|()| note.write_all(text.as_bytes()))
            .map_err(|e| CartridgeError::io("write", &note_path, &e))?;
        registered.keep();
        Ok(Self { path: path.into(), held: Some((note, cartridge)), inode })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while still held: who opened it meanwhile finds that the name is gone and retries.
        let note_path = file::beside(&self.path, ".lock");
        if let Some((note, cartridge)) = self.held.take() {
            if same_file(&note, &note_path) {
                drop(std::fs::remove_file(note_path));
            }
            drop((note, cartridge));
        }
        unregister(self.inode);
    }
}

/// Opens and locks the note, or returns who holds it.
fn open_note(path: &Path) -> Result<Result<File, String>, CartridgeError> {
    for _ in 0..NOTE_ATTEMPTS {
        let mut note = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)
            .map_err(|e| CartridgeError::io("open the lock", path, &e))?;
        match note.try_lock() {
            Ok(()) if same_file(&note, path) => {
                drop(note.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)));
                return Ok(Ok(note));
            }
            // The holder removed it between our two calls.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                drop((&mut note).take(NOTE_BYTES_MAX).read_to_string(&mut holder));
                let holder = holder.trim();
                let holder = if holder.is_empty() { "a process that is starting" } else { holder };
                return Ok(Err(holder.to_owned()));
            }
            Err(TryLockError::Error(e)) => return Err(CartridgeError::io("lock", path, &e)),
        }
    }
    Ok(Err("processes that come and go".to_owned()))
}

fn same_file(open: &File, path: &Path) -> bool {
    match (open.metadata(), path.symlink_metadata()) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Names the process that holds the inode, where the system tells (Linux).
fn holder_of((_, inode): Inode) -> String {
    let pid = std::fs::read_to_string("/proc/locks").ok().and_then(|locks| {
        locks.lines().find_map(|line| {
            // "12: FLOCK  ADVISORY  WRITE 4711 fd:00:1234 0 EOF"
            let mut fields = line.split_whitespace();
            let kind = fields.nth(1)?;
            let pid = fields.nth(2)?;
            let place = fields.next()?;
            let number = place.rsplit(':').next()?;
            (kind == "FLOCK" && number == inode.to_string()).then(|| pid.to_owned())
        })
    });
    match pid {
        Some(pid) => format!("process {pid}, under another name of the same file"),
        None => "another process, under another name of the same file".to_owned(),
    }
}

/// Inodes of the cartridges that this process has open.
static OPEN_HERE: Mutex<Option<HashSet<Inode>>> = Mutex::new(None);

struct Registered(Option<Inode>);

impl Registered {
    fn new(inode: Inode) -> Option<Self> {
        let mut open = OPEN_HERE.lock().unwrap_or_else(PoisonError::into_inner);
        open.get_or_insert_default().insert(inode).then(|| Self(Some(inode)))
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Some(inode) = self.0 {
            unregister(inode);
        }
    }
}

fn unregister(inode: Inode) {
    let mut open = OPEN_HERE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(inodes) = open.as_mut() {
        inodes.remove(&inode);
    }
}

/// How long a command waits for another command.
const COMMAND_WAIT: Duration = Duration::from_secs(5);
const COMMAND_WAITS: u32 = 250;
const COMMAND_NOTE: &str = "(command)";

/// How often a lock file that vanishes is opened anew.
const NOTE_ATTEMPTS: usize = 100;

/// Longest note that is read, in bytes.
const NOTE_BYTES_MAX: u64 = 200;
