//! `GET /api/system/backup`: one consistent copy of the running cartridge, streamed. The command
//! writes the file.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use fazt_sdk::http::BodySource;
use fazt_sdk::prelude::*;

use super::{Node, Parts};

struct BackUp(Node);

/// Bytes of one part of the stream.
const PART_BYTES: usize = 256 * 1024;

impl Handler for BackUp {
    async fn call(&self, call: &Call, _: Request) -> Result<Response> {
        super::plugin_add::check_may_load(call)?;
        let core = self.0.core()?;
        let mut name = core.cartridge.path().as_os_str().to_owned();
        name.push(format!(".backup-{}", call.request_id()));
        let path = std::path::PathBuf::from(name);
        let written = core.cartridge.backup(&path).await;
        let opened = File::open(&path);
        // The copy needs no name any more: it goes with its descriptor, also when the client leaves.
        let removed = std::fs::remove_file(&path);
        let size = written?;
        let file = opened
            .map_err(|error| Error::internal(format!("the backup cannot be read: {error}")))?;
        removed
            .map_err(|error| Error::internal(format!("the backup cannot be removed: {error}")))?;
        Ok(Response::new(200)
            .header("content-type", "application/vnd.sqlite3")
            .header("content-length", size.to_string())
            .header("cache-control", "no-store")
            .stream(Copying { file, at: 0 }))
    }
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
    parts.route(Route::admin(Method::Get, "/api/system/backup"), handler)
}
