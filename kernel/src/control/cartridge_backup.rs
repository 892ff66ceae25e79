//! `GET /api/system/backup`: one consistent copy of the running cartridge, streamed. The command
//! writes the file.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use fazt_sdk::http::BodySource;
use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct BackUp(Node);

/// Bytes of one part of the stream.
const PART_BYTES: usize = 256 * 1024;

impl Handler for BackUp {
    async fn call(&self, call: &Call, _: Request) -> Result<Response> {
        let core = self.0.core()?;
        let mut name = core.cartridge.path().as_os_str().to_owned();
        name.push(format!(".backup-{}", call.request_id()));
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
    parts.route(Route::admin(Method::Get, "/api/system/backup").scope(Scope::Admin), handler)
}
