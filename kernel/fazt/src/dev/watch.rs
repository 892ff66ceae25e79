//! An eye on a directory: it says when the site in it is another one.
//!
//! The truth is the list of the site's files with their times and sizes; the operating system's
//! messages only say when to look. So renames, atomic saves and a thousand changes at once need no
//! rules of their own, and where there are no messages (network drives, a machine out of watches)
//! looking every now and then does the same, later.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::site::Site;

/// An eye on a directory.
pub(crate) struct Watch {
    directory: PathBuf,
    include_private: bool,
    touched: std::sync::Arc<Notify>,
    /// Nothing where the operating system sends no messages.
    messages: Option<notify::RecommendedWatcher>,
    /// Which directory has the name now: a build may remove it and make another one.
    inode: Option<u64>,
    pause: Duration,
    last: Fingerprint,
}

/// What a look at the directory found; nothing when it could not be read.
type Fingerprint = Option<Vec<(String, u64, i64, i64, u64)>>;

impl Watch {
    /// Looks at `directory` from now on. Blocks for one look.
    pub(crate) fn new(directory: &Path, include_private: bool) -> Self {
        let touched = std::sync::Arc::new(Notify::new());
        let messages = messages(directory, &touched).ok();
        Self {
            directory: directory.to_owned(),
            include_private,
            touched,
            pause: pause(messages.as_ref()),
            messages,
            inode: inode(directory),
            last: fingerprint(directory, include_private),
        }
    }

    /// Waits until the site is another one than at the last look, and nobody writes any more.
    pub(crate) async fn changed(&mut self) {
        loop {
            drop(tokio::time::timeout(self.pause, self.touched.notified()).await);
            self.quiet().await;
            let began = Instant::now();
            let (directory, include_private) = (self.directory.clone(), self.include_private);
            let looked =
                tokio::task::spawn_blocking(move || fingerprint(&directory, include_private));
            let now = looked.await.unwrap_or_default();
            self.follow();
            // A large directory is not what the machine is for.
            self.pause = self.pause.max(began.elapsed() * LOOKS_SHARE);
            if now != self.last {
                self.last = now;
                return;
            }
        }
    }

    /// Listens to the directory that has the name now.
    fn follow(&mut self) {
        let now = inode(&self.directory);
        if now != self.inode {
            self.inode = now;
            self.messages = messages(&self.directory, &self.touched).ok();
            self.pause = pause(self.messages.as_ref());
        }
    }

    /// Waits for the end of a storm of changes, but not for ever.
    async fn quiet(&self) {
        let end = Instant::now() + STORM_MAX;
        while Instant::now() < end {
            if tokio::time::timeout(QUIET, self.touched.notified()).await.is_err() {
                return;
            }
        }
    }
}

fn inode(directory: &Path) -> Option<u64> {
    std::fs::metadata(directory).ok().map(|metadata| metadata.ino())
}

fn pause(messages: Option<&notify::RecommendedWatcher>) -> Duration {
    if messages.is_some() { PAUSE_WITH_MESSAGES } else { PAUSE }
}

fn messages(
    directory: &Path,
    touched: &std::sync::Arc<Notify>,
) -> notify::Result<notify::RecommendedWatcher> {
    let touched = std::sync::Arc::clone(touched);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Our own reading is no change; whatever went wrong is a reason to look.
        if event.is_ok_and(|event| event.kind.is_access()) {
            return;
        }
        touched.notify_one();
    })?;
    watcher.watch(directory, RecursiveMode::Recursive)?;
    Ok(watcher)
}

fn fingerprint(directory: &Path, include_private: bool) -> Fingerprint {
    let site = Site::walk(directory, include_private).ok()?;
    let look = |file: &crate::site::SiteFile| {
        let metadata = std::fs::metadata(&file.source).ok()?;
        let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
        Some((file.path.clone(), metadata.len(), seconds, nanoseconds, metadata.ino()))
    };
    Some(site.files.iter().filter_map(look).collect())
}

/// So long nothing may change before a look: editors save in several steps.
const QUIET: Duration = Duration::from_millis(40);
/// Somebody who never stops writing does not keep the others waiting for longer.
const STORM_MAX: Duration = Duration::from_secs(1);
/// Between looks where nobody says when.
const PAUSE: Duration = Duration::from_millis(300);
/// Between looks where the operating system says when, for what it does not say.
const PAUSE_WITH_MESSAGES: Duration = Duration::from_secs(2);
/// Looking takes at most one part of so many of the time.
const LOOKS_SHARE: u32 = 20;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Whether the site is another one within 20 s after `change`.
    async fn sees(watch: &mut Watch, change: impl FnOnce()) -> bool {
        change();
        tokio::time::timeout(Duration::from_secs(20), watch.changed()).await.is_ok()
    }

    async fn follows_everything(mut watch: Watch, root: &Path) {
        let file = |name: &str| root.join(name);
        assert!(sees(&mut watch, || fs::write(file("a.html"), "2").unwrap()).await, "a write");
        let save = || {
            fs::write(file(".a.html.tmp"), "3").unwrap();
            fs::rename(file(".a.html.tmp"), file("a.html")).unwrap();
        };
        assert!(sees(&mut watch, save).await, "an atomic save of the same size");
        // A directory alone is no change of the site; what is put into it later is.
        fs::create_dir_all(file("b/c")).unwrap();
        assert!(sees(&mut watch, || fs::write(file("b/c/d.css"), "x").unwrap()).await, "deep");
        assert!(sees(&mut watch, || fs::rename(file("b"), file("e")).unwrap()).await, "a rename");
        assert!(sees(&mut watch, || fs::remove_dir_all(file("e")).unwrap()).await, "a removal");
        let storm = || {
            for number in 0..500 {
                fs::write(file(&format!("{number}.txt")), "x").unwrap();
            }
        };
        assert!(sees(&mut watch, storm).await, "a storm");
    }

    #[tokio::test]
    async fn every_kind_of_change_is_seen() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.html"), "1").unwrap();
        follows_everything(Watch::new(root.path(), false), root.path()).await;
    }

    #[tokio::test]
    async fn a_directory_that_a_build_makes_anew_is_followed() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("dist");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("a.html"), "1").unwrap();
        let mut watch = Watch::new(&root, false);
        assert!(sees(&mut watch, || fs::remove_dir_all(&root).unwrap()).await, "gone");
        let build = || {
            fs::create_dir(&root).unwrap();
            fs::write(root.join("a.html"), "2").unwrap();
        };
        assert!(sees(&mut watch, build).await, "back");
        assert!(watch.messages.is_some(), "and its messages are heard");
        follows_everything(watch, &root).await;
    }

    #[tokio::test]
    async fn without_messages_of_the_system_it_looks_by_itself() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.html"), "1").unwrap();
        let mut watch = Watch::new(root.path(), false);
        watch.messages = None;
        watch.pause = PAUSE;
        follows_everything(watch, root.path()).await;
    }
}
