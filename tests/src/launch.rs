//! Starting a node: on which cartridge, with which settings, under which tool.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::node::Node;
use crate::program::program;
use crate::time::Stopwatch;

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

impl Launch {
    /// A node on the cartridge at `db`, on any free port.
    #[must_use]
    pub fn new(db: &Path) -> Self {
        let words = ["server", "start", "--port", "0", "--db"].map(OsString::from);
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
    /// When there is no program to start.
    pub fn try_start(&self) -> Result<Node, Ended> {
        let watch = Stopwatch::start();
        let mut words = self.tool.clone();
        words.push(program().into());
        words.extend(self.words.iter().cloned());
        words.push(self.db.clone().into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        let mut errors = tempfile::tempfile().unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors.try_clone().unwrap());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let Some(port) = listening(&mut out) else {
            let status = child.wait().unwrap();
            let err = all_of(&mut errors);
            return Err(Ended { code: status.code(), err, took: watch.elapsed() });
        };
        Ok(Node::new(child, out, errors, port, &self.db))
    }
}

/// The port that a starting node says it listens on; none when it ends.
fn listening(out: &mut BufReader<ChildStdout>) -> Option<u16> {
    for line in out.lines() {
        if let Some(port) = line.ok()?.strip_prefix("port ") {
            return port.trim().parse().ok();
        }
    }
    None
}

/// All that was written to a file that others may still write to.
pub(crate) fn all_of(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
