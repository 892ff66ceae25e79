//! Starting a node: on which cartridge, with which settings, under which tool.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::node::Node;
use crate::program::program;
use crate::time::{Stopwatch, wait_for};

/// How a node is started.
#[derive(Debug, Clone)]
pub struct Launch {
    db: PathBuf,
    tool: Vec<OsString>,
    words: Vec<OsString>,
}

/// A node that ended instead of listening.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it said on standard error.
    pub err: String,
    /// From its start to its end.
    pub took: Duration,
}

impl Ended {
    /// Whether it said one sentence, and at most what to do about it.
    #[must_use]
    pub fn is_one_sentence(&self) -> bool {
        let lines: Vec<&str> = self.err.lines().collect();
        match lines[..] {
            [sentence] => sentence.starts_with("error: "),
            [sentence, hint] => sentence.starts_with("error: ") && hint.starts_with("  hint: "),
            _ => false,
        }
    }
}

impl Launch {
    /// A node on the cartridge at `db`, on any free port.
    #[must_use]
    pub fn new(db: &Path) -> Self {
        let words =
            ["server", "start", "--port", "0", "--format", "json", "--db"].map(OsString::from);
        Self { db: db.to_owned(), tool: Vec::new(), words: words.into() }
    }

    /// Under a tool: the words before the program's own. It must execute the program in its own
    /// process, as `unshare` does, and `strace -D`.
    #[must_use]
    pub fn under<W: Into<OsString>>(mut self, tool: impl IntoIterator<Item = W>) -> Self {
        self.tool = tool.into_iter().map(Into::into).collect();
        self
    }

    /// With a setting, as `NAME=VALUE`.
    #[must_use]
    pub fn set(mut self, pair: &str) -> Self {
        self.words.splice(2..2, ["--set".into(), pair.into()]);
        self
    }

    /// Listening on this address instead of this machine alone.
    #[must_use]
    pub fn host(mut self, address: &str) -> Self {
        self.words.splice(2..2, ["--host".into(), address.into()]);
        self
    }

    /// Starts the node and waits until it listens.
    ///
    /// # Panics
    /// When it ends instead; with what it said.
    #[track_caller]
    #[must_use]
    pub fn start(&self) -> Node {
        match self.try_start() {
            Ok(node) => node,
            Err(ended) => panic!("the node ended with {:?}: {}", ended.code, ended.err),
        }
    }

    /// Starts the node and waits until it listens or ends.
    ///
    /// # Errors
    /// How it ended.
    ///
    /// # Panics
    /// When there is no program to start, and when it does neither.
    pub fn try_start(&self) -> Result<Node, Ended> {
        let watch = Stopwatch::start();
        let mut words = self.tool.clone();
        words.push(program().into());
        words.extend(self.words.iter().cloned());
        words.push(self.db.clone().into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        let (out, errors) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        command.stdin(Stdio::null());
        command.stdout(out.try_clone().unwrap()).stderr(errors.try_clone().unwrap());
        let mut child = command.spawn().unwrap();
        let came = wait_for(PATIENCE, || {
            // Looked at first: what it said before it ended is all there then.
            let ended = child.try_wait().unwrap();
            let port = port(&all_of(&out));
            port.map(Ok).or(ended.map(Err))
        });
        match came {
            Some(Ok(port)) => Ok(Node::new(child, (out, errors), port, &self.db)),
            Some(Err(status)) => {
                let err = all_of(&errors);
                Err(Ended { code: status.code(), err, took: watch.elapsed() })
            }
            None => {
                drop(child.kill());
                drop(child.wait());
                let said = all_of(&out) + &all_of(&errors);
                panic!("it neither listens nor ends within {PATIENCE:?}: {said}");
            }
        }
    }
}

/// The port that a node says it listens on, once it has said so to the end.
fn port(said: &str) -> Option<u16> {
    let said: serde_json::Value = serde_json::from_str(said).ok()?;
    said["port"].as_u64().and_then(|port| u16::try_from(port).ok())
}

/// How long a start may take, also under a tool.
const PATIENCE: Duration = Duration::from_secs(60);

/// All that was written to a file that others write to. Moves nobody's place in it.
pub(crate) fn all_of(file: &File) -> String {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
