//! A disk that fails to sync, by injecting errors into the system calls of a child.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use fazt_kernel::cartridge::{Cartridge, Mode, Options};

use crate::{
    child,
    support::{NOTES, Place, note, say, texts},
};

/// Whether the tool that injects is there; says so when it is not.
fn can_inject() -> bool {
    let works = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        say("SKIPPED: strace is missing or may not trace here (Debian package `strace`)");
    }
    works
}

/// What a child said, and what its cartridge holds afterwards.
struct Outcome {
    acked: Vec<usize>,
    errors: Vec<String>,
    acked_after_error: usize,
    failed: Option<String>,
    kept: Vec<String>,
}

fn write_under_strace(path: &Path, options: &[&str], count: usize) -> Outcome {
    let mut options = options.to_vec();
    options.splice(0..0, ["-f", "-qq", "--seccomp-bpf"]);
    let role = format!("write {count}");
    let mut child = child::command_under("strace", &options, &role, path)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = child::lines(&mut child);
    let mut outcome = Outcome {
        acked: Vec::new(),
        errors: Vec::new(),
        acked_after_error: 0,
        failed: None,
        kept: Vec::new(),
    };
    while let Some(line) = child::next_line(&mut lines) {
        match line.split_once(' ') {
            Some(("ack", n)) => {
                outcome.acked.push(n.parse().unwrap());
                outcome.acked_after_error += usize::from(!outcome.errors.is_empty());
            }
            Some(("error", text)) => outcome.errors.push(text.to_owned()),
            Some(("failed", why)) => outcome.failed = Some(why.to_owned()),
            _ => {}
        }
    }
    child.wait().unwrap();
    let cartridge = Cartridge::open(path, Mode::Serve, Options::default()).unwrap();
    cartridge.migrate(&note(), NOTES).wait().unwrap();
    assert!(cartridge.verify().wait().unwrap().problems.is_empty());
    outcome.kept = texts(&cartridge);
    outcome
}

fn nothing_acknowledged_is_lost(outcome: &Outcome) {
    for n in &outcome.acked {
        assert!(
            outcome.kept.contains(&format!("entry {n}")),
            "entry {n} was acknowledged and lost"
        );
    }
}

#[test]
fn after_a_failed_sync_of_the_log_nothing_is_acknowledged() {
    if !can_inject() {
        return;
    }
    let mut failures_after_acks = 0;
    for nth in [2, 5, 9, 17, 40] {
        let place = Place::new();
        drop(place.open());
        let inject = format!("inject=fsync,fdatasync:error=EIO:when={nth}");
        let log = place.path.canonicalize().unwrap().with_file_name("data.db-wal");
        let options = ["-o", "/dev/null", "-P", log.to_str().unwrap(), "-e", &inject];
        let outcome = write_under_strace(&place.path, &options, 60);
        nothing_acknowledged_is_lost(&outcome);
        assert_eq!(outcome.acked_after_error, 0, "sync {nth}");
        assert_eq!(outcome.acked.len() + outcome.errors.len(), 60, "sync {nth}");
        assert!(outcome.failed.is_some(), "sync {nth}: the process was not told to end");
        assert!(outcome.errors.iter().all(|e| e.contains("stopped for good")), "sync {nth}");
        failures_after_acks += usize::from(!outcome.acked.is_empty());
    }
    assert!(failures_after_acks >= 3, "{failures_after_acks}");
}

#[test]
fn a_failed_sync_of_the_file_in_a_checkpoint_ends_it_too() {
    if !can_inject() {
        return;
    }
    let place = Place::new();
    drop(place.open());
    let file = place.path.canonicalize().unwrap();
    let inject = "inject=fsync,fdatasync:error=EIO:when=1";
    let options = ["-o", "/dev/null", "-P", file.to_str().unwrap(), "-e", inject];
    let outcome = write_under_strace(&place.path, &options, 1_500);
    nothing_acknowledged_is_lost(&outcome);
    assert_eq!(outcome.acked_after_error, 0);
    assert!(outcome.acked.len() > 100 && !outcome.errors.is_empty(), "{}", outcome.acked.len());
    assert!(outcome.failed.is_some());
}

#[test]
fn every_answer_comes_after_a_sync() {
    if !can_inject() {
        return;
    }
    let place = Place::new();
    drop(place.open());
    let trace = place.directory.path().join("trace");
    let options = ["-o", trace.to_str().unwrap(), "-e", "trace=fsync,fdatasync,write"];
    let outcome = write_under_strace(&place.path, &options, 50);
    assert_eq!(outcome.acked.len(), 50);
    let (mut syncs, mut acks) = (0, 0);
    for line in std::fs::read_to_string(trace).unwrap().lines() {
        let synced = line.contains("fsync") || line.contains("fdatasync");
        if synced && line.ends_with("= 0") {
            syncs += 1;
        } else if line.contains("\"@ack ") {
            assert!(syncs > 0, "answered without a sync: {line}");
            (syncs, acks) = (0, acks + 1);
        }
    }
    assert_eq!(acks, 50);
}
