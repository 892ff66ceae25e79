//! A body on its way into a file that is not there yet, and is there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use http_body_util::BodyExt as _;

use crate::failure::Failure;
use crate::output::Progress;
use crate::transport::Body;

/// A copy under another name until it is whole. Removed when dropped before that.
pub(crate) struct Partial {
    path: PathBuf,
    file: File,
}

impl Partial {
    /// The file must not be there; see [`refuse_existing`].
    pub(crate) fn new(target: &Path) -> Result<Self, Failure> {
        let mut name = target.as_os_str().to_owned();
        name.push(format!(".partial-{}", std::process::id()));
        let path = PathBuf::from(name);
        // It may hold every secret of the node: it is the owner's alone.
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| unwritable(target, &error))?;
        Ok(Self { path, file })
    }

    /// Writes the whole body; how many bytes it had.
    pub(crate) async fn receive(
        &mut self,
        mut body: Body,
        mut progress: Option<Progress>,
    ) -> Result<u64, Failure> {
        let mut size_bytes = 0;
        while let Some(frame) = body.frame().await {
            let Ok(chunk) = frame?.into_data() else { continue };
            self.file.write_all(&chunk).map_err(|error| unwritable(&self.path, &error))?;
            size_bytes += chunk.len() as u64;
            if let Some(progress) = &mut progress {
                progress.at(size_bytes);
            }
        }
        Ok(size_bytes)
    }

    /// Gives the whole copy its name, which nothing else may have taken meanwhile.
    pub(crate) fn publish(self, file: &Path) -> Result<(), Failure> {
        self.file.sync_all().map_err(|error| unwritable(&self.path, &error))?;
        fs::hard_link(&self.path, file).map_err(|error| unwritable(file, &error))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // A rest that cannot be removed is named as what it is.
        drop(fs::remove_file(&self.path));
    }
}

/// Fails when something is there already.
pub(crate) fn refuse_existing(file: &Path) -> Result<(), Failure> {
    if fs::symlink_metadata(file).is_ok() {
        return Err(Failure::failed(format!(
            "{} exists already and is left alone",
            file.display()
        ))
        .hint("name another file"));
    }
    Ok(())
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("{} cannot be written: {error}", path.display()))
}
