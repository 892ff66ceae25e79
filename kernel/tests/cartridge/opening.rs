//! Which files are opened, by whom, and what is left alone.

use std::{
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use fazt_kernel::cartridge::{Cartridge, CartridgeError, Mode, Options};

use crate::{
    child,
    support::{Place, add, block_on, clock, files, note, sha256, texts},
};

fn open(path: &Path) -> Result<Cartridge, CartridgeError> {
    Cartridge::open(path, Mode::Serve, Options::default())
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().mode() & 0o777
}

/// Refused in one line, and not a byte was changed, nothing was left beside it.
fn refused_untouched(path: &Path) -> CartridgeError {
    let (before, around) = (sha256(path), files(path));
    let error = open(path).unwrap_err();
    assert!(!error.to_string().contains('\n'), "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert_eq!(sha256(path), before);
    assert_eq!(files(path), around);
    error
}

#[test]
fn a_missing_cartridge_is_not_made_by_opening_it() {
    let directory = tempfile::tempdir().unwrap();
    for path in ["data.db", "no/such/directory/data.db"] {
        let path = directory.path().join(path);
        assert_eq!(open(&path).unwrap_err(), CartridgeError::Missing { path: path.clone() });
        assert!(!path.exists());
    }
    assert!(files(&directory.path().join("data.db")).is_empty());
}

#[test]
fn a_file_that_is_no_cartridge_is_refused_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.db");
    let foreign = {
        let other = directory.path().join("other");
        let connection = rusqlite::Connection::open(&other).unwrap();
        connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1);").unwrap();
        drop(connection);
        std::fs::read(&other).unwrap()
    };
    let contents: [&[u8]; 4] = [b"", b"hello", &[b'x'; 5_000], &foreign];
    for content in contents {
        std::fs::write(&path, content).unwrap();
        assert!(matches!(refused_untouched(&path), CartridgeError::NotACartridge { .. }));
    }
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, CartridgeError::NotACartridge { .. }), "{error}");
}

#[test]
fn a_cartridge_of_a_newer_version_is_refused_untouched() {
    let place = Place::new();
    let connection = rusqlite::Connection::open(&place.path).unwrap();
    connection.pragma_update(None, "user_version", 900).unwrap();
    drop(connection);
    match refused_untouched(&place.path) {
        CartridgeError::TooNew { found: 900, known, .. } => assert!(known < 900),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_newer_version_that_only_the_log_knows_of_is_refused_untouched() {
    let place = Place::new();
    let writer = rusqlite::Connection::open(&place.path).unwrap();
    writer.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    writer.pragma_update(None, "user_version", 900).unwrap();
    // A crash: the files as they are now, copied away from the connection.
    let crashed = place.directory.path().join("crashed.db");
    let log = place.directory.path().join("crashed.db-wal");
    std::fs::copy(&place.path, &crashed).unwrap();
    std::fs::copy(place.path.with_file_name("data.db-wal"), &log).unwrap();
    drop(writer);
    let before = (sha256(&crashed), sha256(&log));
    let error = open(&crashed).unwrap_err();
    assert!(matches!(error, CartridgeError::TooNew { found: 900, .. }), "{error}");
    assert_eq!((sha256(&crashed), sha256(&log)), before);
}

#[test]
fn creating_does_not_replace_what_is_there() {
    let place = Place::new();
    let before = sha256(&place.path);
    let refusal = Cartridge::create(&place.path, &clock()).unwrap_err();
    assert_eq!(refusal, CartridgeError::Exists { path: place.path.clone() });
    assert_eq!(sha256(&place.path), before);
    let link = place.directory.path().join("link.db");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    let refusal = Cartridge::create(&link, &clock()).unwrap_err();
    assert_eq!(refusal, CartridgeError::Exists { path: link });
}

#[test]
fn a_second_process_is_told_who_has_the_cartridge_whatever_the_name() {
    let place = Place::new();
    let mut holder = child::command("hold", &place.path).spawn().unwrap();
    let mut lines = child::lines(&mut holder);
    let pid = child::next_line(&mut lines).unwrap().replace("open ", "");

    let link = place.directory.path().join("link.db");
    std::os::unix::fs::symlink(&place.path, &link).unwrap();
    for path in [&place.path, &link] {
        match open(path) {
            Err(CartridgeError::Locked { holder, .. }) => {
                assert_eq!(holder, format!("process {pid} (server)"));
            }
            other => panic!("{other:?}"),
        }
    }
    let hard = place.directory.path().join("hard.db");
    std::fs::hard_link(&place.path, &hard).unwrap();
    match open(&hard) {
        Err(CartridgeError::Locked { holder, .. }) => assert!(holder.contains(&pid), "{holder}"),
        other => panic!("{other:?}"),
    }
    std::fs::remove_file(hard).unwrap();

    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    drop(open(&link).unwrap());
}

#[test]
fn the_same_process_cannot_open_a_cartridge_twice() {
    let place = Place::new();
    let cartridge = place.open();
    for mode in [Mode::Serve, Mode::Command] {
        match Cartridge::open(&place.path, mode, Options::default()) {
            Err(CartridgeError::Locked { holder, .. }) => {
                assert_eq!(holder, format!("process {} (this one)", std::process::id()));
            }
            other => panic!("{other:?}"),
        }
    }
    // The refusal did not cost the first one its locks.
    if let Ok(locks) = std::fs::read_to_string("/proc/locks") {
        let inode = format!(":{} ", place.path.metadata().unwrap().ino());
        assert!(locks.lines().any(|l| l.contains("POSIX") && l.contains(&inode)), "{locks}");
    }
    add(&cartridge, "still here").unwrap();
    assert_eq!(texts(&cartridge), ["still here"]);
}

#[test]
fn a_lock_file_left_by_a_crash_is_not_in_the_way() {
    let place = Place::new();
    std::fs::write(place.path.with_file_name("data.db.lock"), "process 1 (server)\n").unwrap();
    let cartridge = open(&place.path).unwrap();
    block_on(cartridge.close()).unwrap();
    assert_eq!(files(&place.path), ["data.db"]);
}

#[test]
fn a_command_waits_for_another_command() {
    let place = Place::new();
    place.open();
    let first = Cartridge::open(&place.path, Mode::Command, Options::default()).unwrap();
    drop(first);
    let second = Cartridge::open(&place.path, Mode::Command, Options::default()).unwrap();
    assert!(texts(&second).is_empty());
}

#[test]
fn a_cartridge_with_two_names_is_refused() {
    let place = Place::new();
    std::fs::hard_link(&place.path, place.directory.path().join("second.db")).unwrap();
    let error = refused_untouched(&place.path);
    assert!(matches!(error, CartridgeError::HardLinked { links: 2, .. }), "{error}");
}

#[test]
fn nobody_else_may_read_the_files_whatever_the_umask() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("made/here/data.db");
    let mut child = child::command("umask", &path).spawn().unwrap();
    let mut lines = child::lines(&mut child);
    assert_eq!(child::next_line(&mut lines).unwrap(), "ready");
    for suffix in ["", "-wal", "-shm", ".lock", ".backup"] {
        let file = path.with_file_name(format!("data.db{suffix}"));
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    for made in ["made", "made/here"] {
        assert_eq!(mode(&directory.path().join(made)), 0o700, "{made}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_cartridge_that_others_could_read_is_protected_when_opened() {
    let place = Place::new();
    std::fs::set_permissions(&place.path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let cartridge = place.open();
    assert_eq!(mode(&place.path), 0o600);
    assert_eq!(mode(&place.path.with_file_name("data.db-wal")), 0o600);
    drop(cartridge);
}

#[test]
fn a_copy_works_when_taken_stopped_by_backup_or_after_a_crash() {
    let place = Place::new();
    let cartridge = place.open_with(Options { external_checkpoint: true, ..Options::default() });
    add(&cartridge, "one").unwrap();
    let backup = place.directory.path().join("backup.db");
    cartridge.backup(&backup).wait().unwrap();
    // After a crash: the file and its log, as they are while the process lives.
    let crashed = place.directory.path().join("crashed.db");
    std::fs::copy(&place.path, &crashed).unwrap();
    let log = place.directory.path().join("crashed.db-wal");
    std::fs::copy(place.path.with_file_name("data.db-wal"), log).unwrap();
    block_on(cartridge.close()).unwrap();
    // Stopped, with checkpoints left to others, the log stays and belongs to the copy.
    drop(place.open());
    let stopped = place.directory.path().join("stopped.db");
    std::fs::copy(&place.path, &stopped).unwrap();
    for copy in [backup, crashed, stopped] {
        let cartridge = open(&copy).unwrap();
        cartridge.migrate(&note(), crate::support::NOTES).wait().unwrap();
        assert_eq!(texts(&cartridge), ["one"], "{}", copy.display());
        assert_eq!(cartridge.verify().wait().unwrap().problems, Vec::<String>::new());
    }
}
