//! The files of a cartridge: names, permissions, the header that tells what a file is.
//!
//! Everything is 0600 whatever the umask, and a directory that has to be made is 0700. A file that is
//! refused is not changed by a single byte: the header is read before SQLite sees the file.

use std::{
    ffi::OsString,
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{error::CartridgeError, open::APPLICATION_ID, schema};

/// The same path with `suffix` at the end of the name, such as `-wal`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Length of a file in bytes, 0 when there is none.
pub(super) fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |m| m.len())
}

/// Creates a file that did not exist, 0600. A symbolic link in its place counts as existing.
pub(super) fn create_new(path: &Path) -> Result<File, CartridgeError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(PRIVATE_FILE)
        .open(path)
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => CartridgeError::Exists { path: path.into() },
            _ => CartridgeError::io("create", path, &error),
        })?;
    file.set_permissions(Permissions::from_mode(PRIVATE_FILE))
        .map_err(|e| CartridgeError::io("protect", path, &e))?;
    Ok(file)
}

/// Takes away everybody else's rights to the cartridge and what belongs to it.
pub(super) fn protect(path: &Path) -> Result<(), CartridgeError> {
    for suffix in ["", "-wal", "-shm"] {
        let file = beside(path, suffix);
        let Ok(found) = file.metadata() else { continue };
        if found.mode() & 0o777 != PRIVATE_FILE {
            std::fs::set_permissions(&file, Permissions::from_mode(PRIVATE_FILE))
                .map_err(|e| CartridgeError::io("protect", &file, &e))?;
        }
    }
    Ok(())
}

/// Makes the directory for `path` where it is missing; what is made is 0700.
pub(super) fn create_parent(path: &Path) -> Result<(), CartridgeError> {
    let parent = parent(path);
    let missing: Vec<&Path> =
        parent.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists()).collect();
    for directory in missing.into_iter().rev() {
        DirBuilder::new()
            .mode(PRIVATE_DIRECTORY)
            .create(directory)
            .and_then(|()| {
                std::fs::set_permissions(directory, Permissions::from_mode(PRIVATE_DIRECTORY))
            })
            .map_err(|e| CartridgeError::io("create the directory", directory, &e))?;
    }
    Ok(())
}

/// Makes names in the directory of `path` survive power loss. Blocks on the disk.
pub(super) fn sync_parent(path: &Path) -> Result<(), CartridgeError> {
    let parent = parent(path);
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(|e| CartridgeError::io("sync the directory", parent, &e))
}

/// Gives `from` the name `to`, atomically and only if nothing has that name.
pub(super) fn rename_new(from: &Path, to: &Path) -> Result<(), CartridgeError> {
    use rustix::fs::{CWD, RenameFlags};
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::EXIST) => Err(CartridgeError::Exists { path: to.into() }),
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            // A file system without that operation: a second name fails when the name is taken.
            std::fs::hard_link(from, to).and_then(|()| std::fs::remove_file(from)).map_err(|e| {
                match e.kind() {
                    io::ErrorKind::AlreadyExists => CartridgeError::Exists { path: to.into() },
                    _ => CartridgeError::io("name", to, &e),
                }
            })
        }
        Err(error) => Err(CartridgeError::io("name", to, &error.into())),
    }
}

/// Fails when anything, also a dangling symbolic link, is at `path`.
pub(super) fn refuse_existing(path: &Path) -> Result<(), CartridgeError> {
    match path.symlink_metadata() {
        Ok(_) => Err(CartridgeError::Exists { path: path.into() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CartridgeError::io("look at", path, &error)),
    }
}

/// Finds the file behind links; the path that SQLite, its log and the lock are named after.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, CartridgeError> {
    let real = path.canonicalize().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => CartridgeError::Missing { path: path.into() },
        _ => CartridgeError::io("find", path, &error),
    })?;
    if real.is_file() {
        Ok(real)
    } else {
        Err(CartridgeError::NotACartridge { path: real, why: "it is not a regular file".into() })
    }
}

/// Says whether the file is a cartridge that this build understands, and returns its schema number.
/// Changes nothing.
pub(super) fn check_identity(path: &Path) -> Result<u32, CartridgeError> {
    let (mut application_id, mut schema) = read_header(path)?;
    if length(&beside(path, "-wal")) > 0 {
        (application_id, schema) = identity_in_log(path)?;
    }
    if i32::from_ne_bytes(application_id.to_ne_bytes()) != APPLICATION_ID {
        return Err(CartridgeError::NotACartridge {
            path: path.into(),
            why: "it is a database of another program".into(),
        });
    }
    let known = schema::newest();
    if schema > known {
        return Err(CartridgeError::TooNew { path: path.into(), found: schema, known });
    }
    Ok(schema)
}

/// The application id and the schema number that the file itself has, without its log.
pub(super) fn read_header(path: &Path) -> Result<(u32, u32), CartridgeError> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    File::open(path)
        .and_then(|file| file.take(HEADER_BYTES as u64).read_to_end(&mut header))
        .map_err(|e| CartridgeError::io("read", path, &e))?;
    let refuse =
        |why: &str| Err(CartridgeError::NotACartridge { path: path.into(), why: why.into() });
    if header.is_empty() {
        return refuse("it is empty");
    }
    if header.len() < HEADER_BYTES || !header.starts_with(b"SQLite format 3\0") {
        return refuse("it is not a SQLite database");
    }
    let number = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    Ok((number(68), number(60)))
}

/// The two numbers as the log has them, which may be newer than the file.
fn identity_in_log(path: &Path) -> Result<(u32, u32), CartridgeError> {
    let ask = || -> rusqlite::Result<(i32, u32)> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        // A connection that closes must not move the log into the file.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        Ok((
            connection.pragma_query_value(None, "application_id", |row| row.get(0))?,
            connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
        ))
    };
    ask()
        .map(|(application, schema)| (u32::from_ne_bytes(application.to_ne_bytes()), schema))
        .map_err(|e| CartridgeError::NotACartridge {
            path: path.into(),
            why: format!("SQLite cannot read it: {e}"),
        })
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_DIRECTORY: u32 = 0o700;

/// Length of SQLite's header, in bytes.
const HEADER_BYTES: usize = 100;
