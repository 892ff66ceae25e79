//! The program on a home directory of its own, and what it says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
#[cfg(feature = "hosting")]
use std::path::Path;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal};

use crate::golden::Golden;

/// A home directory of its own for one test.
pub(crate) struct Home {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) golden: Golden,
}

impl Home {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut golden = Golden::default();
        golden.mask(directory.path().to_str().unwrap(), "HOME");
        golden.mask(env!("CARGO_PKG_VERSION"), "VERSION");
        Self { directory, golden }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fazt"));
        command.args(words.split_whitespace()).env_clear().env("HOME", self.directory.path());
        command.current_dir(self.directory.path());
        command
    }

    /// Types `words`, with `input` on standard input; the conversation is kept.
    pub(crate) fn types_with(&mut self, words: &str, input: &str) -> String {
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads nothing may be gone already.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        let output = child.wait_with_output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        self.golden.add(&format!("fazt {words}"), &out, &err, output.status.code().unwrap());
        out
    }

    pub(crate) fn types(&mut self, words: &str) -> String {
        self.types_with(words, "")
    }

    /// Starts a node and waits until it listens.
    pub(crate) fn starts(&self, words: &str, listens: &str) -> Node {
        let mut child =
            self.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        while !said.contains(listens) {
            let read = out.read_line(&mut said).unwrap();
            if read == 0 {
                let mut err = String::new();
                child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
                panic!("the node ended: {said}{err}");
            }
        }
        Node { child, said }
    }
}

/// A running node. It is killed when the test fails.
pub(crate) struct Node {
    pub(crate) child: Child,
    pub(crate) said: String,
}

impl Node {
    pub(crate) fn port(&self) -> u16 {
        let line = self.said.lines().find(|line| line.starts_with("port ")).unwrap();
        line.split_whitespace().last().unwrap().parse().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Asks the node to end, and waits for it.
    pub(crate) fn stops(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What `host` answers at `path`.
pub(crate) fn get(port: u16, host: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[cfg(feature = "hosting")]
pub(crate) fn site(at: &Path, text: &str) {
    std::fs::create_dir_all(at).unwrap();
    std::fs::write(at.join("index.html"), text).unwrap();
}
