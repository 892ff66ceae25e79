//! The files of a deployment on their way into a directory: what is equal stays, what differs is
//! not overwritten unasked, and nothing is written outside.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use fazt_sdk::http::Method;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body_util::BodyExt as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::failure::Failure;
use crate::invoke::encoded;
use crate::site::hex;
use crate::transport::{self, Body, Request, Transport};

/// A file of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemoteFile {
    /// Its path on the site.
    pub(crate) path: String,
    /// SHA-256, in hexadecimal digits.
    pub(crate) sha256: String,
    /// Bytes.
    pub(crate) size_bytes: u64,
}

impl RemoteFile {
    fn of(row: &Value) -> Option<Self> {
        let text = |field: &str| row.get(field).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            path: text("path")?,
            sha256: text("sha256")?,
            size_bytes: row.get("size_bytes").and_then(Value::as_u64)?,
        })
    }
}

/// All files of the deployment `id`.
pub(crate) async fn files(node: &dyn Transport, id: &str) -> Result<Vec<RemoteFile>, Failure> {
    let mut files = Vec::new();
    let mut cursor = String::new();
    loop {
        let (id, after) = (encoded(id), encoded(&cursor));
        let target = match after.as_str() {
            "" => format!("/api/deployments/{id}/files?limit={PAGE_MAX}"),
            after => format!("/api/deployments/{id}/files?limit={PAGE_MAX}&cursor={after}"),
        };
        let page = transport::ask(node, Request::new(Method::Get, target)).await?;
        let odd = || Failure::failed(format!("{} lists files in an odd way", node.place()));
        for row in page.data.as_array().ok_or_else(odd)? {
            files.push(RemoteFile::of(row).ok_or_else(odd)?);
        }
        match page.meta.get("cursor").and_then(Value::as_str) {
            Some(next) if next != cursor => next.clone_into(&mut cursor),
            _ => return Ok(files),
        }
    }
}

/// A directory that files are pulled into.
pub(crate) struct Place {
    root: PathBuf,
}

/// How a file of the site stands to what lies in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Here {
    /// It is the same.
    Same,
    /// Nothing lies there.
    Nothing,
    /// Something else lies there.
    Other,
}

impl Place {
    /// The directory at `root`, which is made when it is not there.
    pub(crate) fn new(root: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(root).map_err(|error| unwritable(root, &error))?;
        let root = fs::canonicalize(root).map_err(|error| unwritable(root, &error))?;
        Ok(Self { root })
    }

    /// Where a file belongs, and what lies there. Blocks: what lies there is read.
    ///
    /// # Errors
    /// The path leads out of the directory, by its own steps or through a link.
    pub(crate) fn look(&self, file: &RemoteFile) -> Result<(PathBuf, Here), Failure> {
        let target = self.target(&file.path)?;
        let metadata = match fs::symlink_metadata(&target) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((target, Here::Nothing));
            }
            Err(error) => return Err(unreadable(&target, &error)),
        };
        if metadata.is_dir() {
            return Err(Failure::failed(format!(
                "{} is a directory here and a file of the site",
                target.display()
            )));
        }
        let is_same = metadata.is_file() && metadata.len() == file.size_bytes && {
            let bytes = File::open(&target).and_then(|mut file| {
                let mut hasher = Sha256::new();
                io::copy(&mut file, &mut Hashing(&mut hasher)).map(|_| hasher.finalize())
            });
            hex(&bytes.map_err(|error| unreadable(&target, &error))?) == file.sha256
        };
        Ok((target, if is_same { Here::Same } else { Here::Other }))
    }

    fn target(&self, path: &str) -> Result<PathBuf, Failure> {
        let outside = || {
            Failure::failed(format!(
                "the node names a file {path:?}, which would not lie in the directory"
            ))
        };
        let relative = Path::new(path);
        let is_plain = !path.is_empty()
            && !path.contains(['\\', '\0'])
            && path.split('/').all(|name| !matches!(name, "" | "." | ".."))
            && relative.components().all(|part| matches!(part, Component::Normal(_)));
        if !is_plain {
            return Err(outside());
        }
        // A link on the way would lead whoever writes to wherever it points.
        let mut way = self.root.clone();
        for name in relative.parent().into_iter().flat_map(Path::components) {
            way.push(name);
            match fs::symlink_metadata(&way) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(metadata) if metadata.is_symlink() => {
                    return Err(Failure::failed(format!(
                        "{} is a link, and files are not written through links",
                        way.display()
                    )));
                }
                Ok(_) => {
                    return Err(Failure::failed(format!(
                        "{} is a file here and a directory of the site",
                        way.display()
                    )));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(unreadable(&way, &error)),
            }
        }
        Ok(self.root.join(relative))
    }
}

/// Fetches `wanted` files of the deployment `id`, several at a time; `done` is told how many bytes
/// arrived.
pub(crate) async fn fetch(
    node: &dyn Transport,
    id: &str,
    wanted: Vec<(RemoteFile, PathBuf)>,
    done: &(dyn Fn(u64) + Sync),
) -> Result<(), Failure> {
    futures_util::stream::iter(wanted.into_iter().map(|(file, target)| async move {
        let path: Vec<_> = file.path.split('/').map(encoded).collect();
        let from = format!("/api/deployments/{}/content/{}", encoded(id), path.join("/"));
        let reply = node.send(Request::new(Method::Get, from)).await?;
        if reply.status != 200 {
            let body = transport::collect(reply.body).await?;
            return Err(Failure::of_reply(reply.status, &body, node.place()));
        }
        write(&file, &target, reply.body, done).await
    }))
    .buffer_unordered(FILES_AT_ONCE)
    .try_for_each(|()| std::future::ready(Ok(())))
    .await
}

/// Writes beside the target first: what is there stays until the new content is whole and right.
async fn write(
    file: &RemoteFile,
    target: &Path,
    mut body: Body,
    done: &(dyn Fn(u64) + Sync),
) -> Result<(), Failure> {
    let failed = |error: io::Error| unwritable(target, &error);
    let directory = target.parent().unwrap_or(target);
    fs::create_dir_all(directory).map_err(failed)?;
    let partial = Partial::new(target).map_err(failed)?;
    let (mut hasher, mut size_bytes) = (Sha256::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame?.into_data() else { continue };
        hasher.update(&chunk);
        size_bytes += chunk.len() as u64;
        (&partial.file).write_all(&chunk).map_err(failed)?;
        done(chunk.len() as u64);
    }
    if size_bytes != file.size_bytes || hex(&hasher.finalize()) != file.sha256 {
        return Err(Failure::failed(format!("{} did not arrive as it was sent", file.path))
            .hint("run the command again; what arrived well is not fetched twice"));
    }
    fs::rename(&partial.path, target).map_err(failed)
}

/// A file under another name until it is whole. Removed when dropped before that.
struct Partial {
    path: PathBuf,
    file: File,
}

impl Partial {
    fn new(target: &Path) -> io::Result<Self> {
        let mut name = std::ffi::OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(format!(".partial-{}", std::process::id()));
        let path = target.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Self { path, file })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the renaming nothing has this name any more.
        drop(fs::remove_file(&self.path));
    }
}

/// Bytes on their way into a hash.
struct Hashing<'a>(&'a mut Sha256);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("{} cannot be written: {error}", path.display()))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("{} cannot be read: {error}", path.display()))
}

/// Files of one page of a list.
const PAGE_MAX: u32 = 1_000;
/// How many files are on their way at a time.
const FILES_AT_ONCE: usize = 4;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    fn remote(path: &str, text: &str) -> RemoteFile {
        RemoteFile {
            path: path.to_owned(),
            sha256: hex(&Sha256::digest(text)),
            size_bytes: text.len() as u64,
        }
    }

    #[test]
    fn what_lies_there_is_told_apart() {
        let root = tempfile::tempdir().unwrap();
        let place = Place::new(&root.path().join("new/site")).unwrap();
        let look = |path: &str, text: &str| place.look(&remote(path, text)).map(|(_, here)| here);
        assert_eq!(look("a.txt", "x").unwrap(), Here::Nothing);
        fs::write(place.root.join("a.txt"), "x").unwrap();
        assert_eq!(look("a.txt", "x").unwrap(), Here::Same);
        assert_eq!(look("a.txt", "y").unwrap(), Here::Other);
        fs::create_dir(place.root.join("b")).unwrap();
        assert!(look("b", "x").is_err() && look("a.txt/c", "x").is_err());
    }

    #[test]
    fn no_file_is_written_outside() {
        let root = tempfile::tempdir().unwrap();
        let place = Place::new(&root.path().join("site")).unwrap();
        symlink(root.path(), place.root.join("link")).unwrap();
        symlink(root.path().join("secret"), place.root.join("file")).unwrap();
        for path in [
            "../a",
            "/etc/passwd",
            "a/../../b",
            "",
            "a//b",
            "./a",
            "a/.",
            "link/a",
            "a\\b",
            "a\0b",
            "..",
            "/",
        ] {
            assert!(place.look(&remote(path, "x")).is_err(), "{path:?}");
        }
        // A link in the file's own place is replaced, and not written through.
        assert_eq!(place.look(&remote("file", "x")).unwrap().1, Here::Other);
    }

    proptest! {
        #[test]
        fn whatever_the_node_says_the_target_lies_inside(path in "[a./\\\\~-]{0,12}") {
            let root = tempfile::tempdir().unwrap();
            let place = Place::new(root.path()).unwrap();
            if let Ok(target) = place.target(&path) {
                prop_assert!(target.starts_with(&place.root));
                prop_assert!(!target.components().any(|part| part == Component::ParentDir));
            }
        }
    }
}
