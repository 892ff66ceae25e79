//! What the files of a site hold: their hashes, read by several threads, and their bytes.

use std::fs::File;
use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::{SiteFile, unreadable};
use crate::failure::Failure;

/// The SHA-256 and the size of a file, as it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Content {
    /// SHA-256.
    pub(crate) sha256: [u8; 32],
    /// Bytes.
    pub(crate) size_bytes: u64,
}

/// Changes what a file holds, on its way.
pub(crate) type Rewrite = fn(Vec<u8>) -> Vec<u8>;

impl Content {
    fn of(bytes: &[u8]) -> Self {
        Self { sha256: Sha256::digest(bytes).into(), size_bytes: bytes.len() as u64 }
    }

    /// The hash as it is written in addresses and documents.
    pub(crate) fn hex(&self) -> String {
        hex(&self.sha256)
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

impl SiteFile {
    /// The whole content, as it is sent.
    ///
    /// # Errors
    /// It cannot be read, or is not `expected` any more.
    pub(crate) fn read(&self, expected: &Content) -> Result<Vec<u8>, Failure> {
        let bytes = self.bytes()?;
        if Content::of(&bytes) == *expected { Ok(bytes) } else { Err(self.changed()) }
    }

    /// The file, for content that is sent as it lies there.
    pub(crate) fn open(&self) -> Result<File, Failure> {
        File::open(&self.source).map_err(|error| unreadable(&self.source, &error))
    }

    /// Somebody wrote to it since it was first read.
    pub(crate) fn changed(&self) -> Failure {
        Failure::failed(format!("{} changed while it was read", self.path))
            .hint("run the command again when nothing writes to the directory")
    }

    fn bytes(&self) -> Result<Vec<u8>, Failure> {
        let bytes =
            std::fs::read(&self.source).map_err(|error| unreadable(&self.source, &error))?;
        Ok(match self.rewrite {
            Some(rewrite) => rewrite(bytes),
            None => bytes,
        })
    }

    fn content(&self, chunk: &mut [u8]) -> Result<Content, Failure> {
        if self.rewrite.is_some() {
            return self.bytes().map(|bytes| Content::of(&bytes));
        }
        let (mut file, mut hasher, mut size_bytes) = (self.open()?, Sha256::new(), 0);
        loop {
            let count = file.read(chunk).map_err(|error| unreadable(&self.source, &error))?;
            if count == 0 {
                return Ok(Content { sha256: hasher.finalize().into(), size_bytes });
            }
            hasher.update(&chunk[..count]);
            size_bytes += count as u64;
        }
    }
}

/// What all `files` hold, in their order. Several threads read at a time; `done` is told how many
/// bytes were read, from any of them. Blocks.
pub(crate) fn digests(
    files: &[SiteFile],
    done: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Content>, Failure> {
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<(usize, Content)>> = Mutex::new(Vec::with_capacity(files.len()));
    let read = || -> Result<(), Failure> {
        let (mut chunk, mut mine) = (vec![0; CHUNK_BYTES], Vec::new());
        while let Some((at, file)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            files.get(at).map(|file| (at, file))
        } {
            let content = file.content(&mut chunk).inspect_err(|_| {
                // The others need not go on.
                next.store(files.len(), Ordering::Relaxed);
            })?;
            done(content.size_bytes);
            mine.push((at, content));
        }
        found.lock().unwrap_or_else(PoisonError::into_inner).append(&mut mine);
        Ok(())
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for number in 1..threads.min(files.len() / FILES_PER_THREAD + 1) {
            let thread = std::thread::Builder::new().name(format!("hash-{number}"));
            // A machine without another thread is only slower.
            running.extend(thread.spawn_scoped(scope, read).ok());
        }
        let mut result = read();
        for thread in running {
            let other = thread
                .join()
                .unwrap_or_else(|_| Err(Failure::failed("reading the files broke off: a defect")));
            result = result.and(other);
        }
        result
    })?;
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_unstable_by_key(|(at, _)| *at);
    Ok(found.into_iter().map(|(_, content)| content).collect())
}

/// Files are read in pieces of this size.
const CHUNK_BYTES: usize = 256 * 1024;
/// The most threads that read.
const THREADS_MAX: usize = 4;
/// Below this many files each, another thread is not worth its start.
const FILES_PER_THREAD: usize = 16;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::AtomicU64;

    use super::*;

    fn file(root: &std::path::Path, name: &str, text: &str) -> SiteFile {
        let source = root.join(name);
        std::fs::write(&source, text).unwrap();
        let size_bytes = text.len() as u64;
        SiteFile { path: name.to_owned(), source, size_bytes, rewrite: None }
    }

    #[test]
    fn all_files_are_hashed_in_their_order() {
        let root = tempfile::tempdir().unwrap();
        let files: Vec<_> = (0..200)
            .map(|number| file(root.path(), &format!("{number}.txt"), &"x".repeat(number)))
            .collect();
        let read = AtomicU64::new(0);
        let found = digests(&files, &|bytes| {
            read.fetch_add(bytes, Ordering::Relaxed);
        });
        let found = found.unwrap();
        assert_eq!(read.into_inner(), (0..200).sum::<u64>());
        assert_eq!(found.len(), 200);
        for (number, content) in found.iter().enumerate() {
            assert_eq!(*content, Content::of("x".repeat(number).as_bytes()));
        }
        assert_eq!(
            found[0].hex(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn one_file_that_is_gone_fails_all() {
        let root = tempfile::tempdir().unwrap();
        let mut files: Vec<_> =
            (0..100).map(|number| file(root.path(), &number.to_string(), "x")).collect();
        files[70].source = PathBuf::from("/nothing/here");
        let failure = digests(&files, &|_| ()).unwrap_err();
        assert!(failure.message.contains("/nothing/here"), "{failure}");
    }

    #[test]
    fn a_file_that_changed_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        let file = file(root.path(), "a.txt", "before");
        let content = digests(std::slice::from_ref(&file), &|_| ()).unwrap()[0];
        assert_eq!(file.read(&content).unwrap(), b"before");
        std::fs::write(&file.source, "after!").unwrap();
        let failure = file.read(&content).unwrap_err();
        assert!(failure.message.contains("a.txt changed"), "{failure}");
    }

    #[test]
    fn a_rewritten_file_is_hashed_as_it_is_sent() {
        let root = tempfile::tempdir().unwrap();
        let mut file = file(root.path(), "a.html", "x");
        file.rewrite = Some(|mut bytes| {
            bytes.push(b'!');
            bytes
        });
        let content = digests(std::slice::from_ref(&file), &|_| ()).unwrap()[0];
        assert_eq!(content, Content::of(b"x!"));
        assert_eq!(file.read(&content).unwrap(), b"x!");
    }
}
