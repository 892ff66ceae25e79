//! A directory with a cartridge, and a node that runs on it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

use crate::http::{Answer, Client, Request};
use crate::launch::{Launch, all_of};
use crate::program::command;
use crate::site::archive;
use crate::time::wait_for;

/// A directory of its own for one test.
#[derive(Debug)]
pub struct Home {
    directory: tempfile::TempDir,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// An empty directory.
    ///
    /// # Panics
    /// When there is none to be had.
    #[must_use]
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// A path in the directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where the cartridge is.
    #[must_use]
    pub fn db(&self) -> PathBuf {
        self.path("data.db")
    }

    /// A node on the cartridge of this directory.
    #[track_caller]
    #[must_use]
    pub fn start(&self) -> Node {
        Launch::new(&self.db()).start()
    }

    /// Runs a command in this directory, on its cartridge, unless `words` name another.
    ///
    /// # Panics
    /// When the program cannot be run.
    #[must_use]
    pub fn fazt(&self, words: &str) -> Said {
        let mut command = command(words.split_whitespace());
        command.env("HOME", self.directory.path()).env("FAZT_DB", self.db());
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        let output = command.output().unwrap();
        Said {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A node that runs. It is killed when dropped.
#[derive(Debug)]
pub struct Node {
    child: Child,
    output: File,
    errors: File,
    db: PathBuf,
    port: u16,
}

impl Node {
    pub(crate) fn new(child: Child, (output, errors): (File, File), port: u16, db: &Path) -> Self {
        Self { child, output, errors, port, db: db.to_owned() }
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The id of its process. Tools that [`Launch::under`] takes must become the program.
    ///
    /// # Panics
    /// Never: the system's ids fit.
    #[must_use]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// A connection to it.
    ///
    /// # Panics
    /// When it does not accept one.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::connect(self.port).unwrap()
    }

    /// One request on a connection of its own.
    ///
    /// # Panics
    /// When no whole answer comes.
    #[track_caller]
    #[must_use]
    pub fn send(&self, request: &Request) -> Answer {
        self.client().send(request).unwrap()
    }

    /// `GET path` of `host`.
    #[track_caller]
    #[must_use]
    pub fn get(&self, host: &str, path: &str) -> Answer {
        self.send(&Request::get(host, path))
    }

    /// One request over the control socket, as the owner.
    ///
    /// # Panics
    /// When no whole answer comes.
    #[track_caller]
    #[must_use]
    pub fn ask(&self, request: &Request) -> Answer {
        let socket = beside(&self.db.canonicalize().unwrap(), ".sock");
        Client::connect_socket(&socket).unwrap().send(request).unwrap()
    }

    /// A new API key, with these scopes, for one app or for all.
    ///
    /// # Panics
    /// When there is none to be had.
    #[track_caller]
    #[must_use]
    pub fn key(&self, scopes: &[&str], app: Option<&str>) -> String {
        let mut wanted = json!({"name": "test", "scopes": scopes});
        if let Some(app) = app {
            wanted["app"] = Value::from(app);
        }
        let made = self.ask(&Request::admin("POST", "/api/keys").json(&wanted));
        assert!(made.is_success(), "{}", made.text());
        made.json()["data"]["key"].as_str().unwrap().to_owned()
    }

    /// Deploys these files as the owner, over the control socket.
    #[track_caller]
    #[must_use]
    pub fn deploy<N: AsRef<str>, C: AsRef<[u8]>>(&self, app: &str, files: &[(N, C)]) -> Answer {
        self.ask(&Request::deploy(app, archive(files)))
    }

    /// What it said on standard output so far.
    #[must_use]
    pub fn output(&self) -> String {
        all_of(&self.output)
    }

    /// What it said on standard error so far.
    #[must_use]
    pub fn errors(&self) -> String {
        all_of(&self.errors)
    }

    /// Sends a signal to the process that serves.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_raw(self.pid()).unwrap(), signal).unwrap();
    }

    /// Ends it as a power cut would: `kill -9`.
    ///
    /// # Panics
    /// When it is gone.
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        all_of(&self.errors)
    }

    /// Ends it, if it has not ended, and says what it said.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn kill_if_running(mut self) -> String {
        drop(self.child.kill());
        self.child.wait().unwrap();
        all_of(&self.errors)
    }

    /// Asks it to end and waits for that.
    ///
    /// # Panics
    /// When it does not within 20 s.
    #[track_caller]
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended(Duration::from_secs(20)).unwrap()
    }

    /// Waits until it ended by itself; none when it did not within `limit`.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn ended(&mut self, limit: Duration) -> Option<ExitStatus> {
        wait_for(limit, || self.child.try_wait().unwrap())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The same path with `suffix` at the end of the name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
