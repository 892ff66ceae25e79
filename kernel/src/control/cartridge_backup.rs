//! `GET /api/system/backup`: one consistent copy of the running cartridge, streamed. The command
//! writes the file.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use fazt_sdk::http::BodySource;
use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct BackUp(Node);

/// What stands between the cartridge's name and the request's id in the name of a copy.
const MARK: &str = ".backup-";

/// Removes copies that a process which ended in the middle of a backup left beside the cartridge:
/// each may be as large as the cartridge itself. For the process that holds the cartridge's lock.
pub(crate) fn remove_unfinished(cartridge: &Path) {
    let (Some(directory), Some(name)) = (cartridge.parent(), cartridge.file_name()) else { return };
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if is_unfinished(name, &entry.file_name()) {
            // What cannot be removed is in nobody's way but the disk's.
            drop(std::fs::remove_file(entry.path()));
        }
    }
}

/// Whether a file is called as a copy is before the client has it: the mark, the 16 digits of a
/// request's id, and nothing else that is not the cartridge's own addition.
fn is_unfinished(cartridge: &OsStr, name: &OsStr) -> bool {
    let rest = name.as_bytes().strip_prefix(cartridge.as_bytes());
    let Some(rest) = rest.and_then(|rest| rest.strip_prefix(MARK.as_bytes())) else { return false };
    let Some((id, rest)) = rest.split_at_checked(16) else { return false };
    id.iter().all(u8::is_ascii_hexdigit) && (rest.is_empty() || rest.starts_with(b".partial-"))
}

/// Bytes of one part of the stream.
const PART_BYTES: usize = 256 * 1024;

impl Handler for BackUp {
    async fn call(&self, call: &Call, _: Request) -> Result<Response> {
        let core = self.0.core()?;
        let mut name = core.cartridge.path().as_os_str().to_owned();
        name.push(format!("{MARK}{}", call.request_id()));
        let path = PathBuf::from(name);
        let runtime = core.runtime.clone();
        // To its end, also when the client leaves: whoever makes the copy takes its name away again.
        let copied = runtime.spawn(async move {
            let size = core.cartridge.backup(&path).await?;
            open_and_remove(&path).map(|file| (file, size))
        });
        let (file, size) = copied
            .await
            .map_err(|error| Error::internal(format!("the backup was broken off: {error}")))??;
        Ok(Response::new(200)
            .header("content-type", "application/vnd.sqlite3")
            .header("content-length", size.to_string())
            .header("cache-control", "no-store")
            .stream(Copying { file, at: 0 }))
    }
}

/// The copy needs no name any more: it goes with its descriptor.
fn open_and_remove(path: &Path) -> Result<File> {
    let opened = File::open(path);
    let removed = std::fs::remove_file(path);
    removed.map_err(|error| Error::internal(format!("the backup cannot be removed: {error}")))?;
    opened.map_err(|error| Error::internal(format!("the backup cannot be read: {error}")))
}

/// A file on its way out.
struct Copying {
    file: File,
    at: u64,
}

impl BodySource for Copying {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        let mut part = vec![0; PART_BYTES];
        match self.file.read_at(&mut part, self.at) {
            Ok(0) => None,
            Ok(read) => {
                part.truncate(read);
                self.at += read as u64;
                Some(Ok(Bytes::from(part)))
            }
            Err(error) => Some(Err(Error::internal(format!("the backup cannot be read: {error}")))),
        }
    }
}

pub(super) fn add(parts: Parts) -> Parts {
    let handler = BackUp(parts.node());
    parts.route(
        Route::admin(Method::Get, "/api/system/backup").scope(Scope::Admin).unhurried(),
        handler,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_this_file_gives_are_leftovers() {
        let is_one = |name: &str| is_unfinished(OsStr::new("data.db"), OsStr::new(name));
        assert!(is_one("data.db.backup-0d0c26b6085ca8fe"));
        assert!(is_one("data.db.backup-0d0c26b6085ca8fe.partial-11119"));
        assert!(is_one("data.db.backup-0d0c26b6085ca8fe.partial-11119-journal"));
        for name in [
            "data.db",
            "data.db.backup-2026-11-21",
            "data.db.backup-monday",
            "data.db.backup-0d0c26b6085ca8fe.gz",
            "data.db.backup-0d0c26b6085ca8f",
            "other.db.backup-0d0c26b6085ca8fe",
        ] {
            assert!(!is_one(name), "{name}");
        }
    }
}
