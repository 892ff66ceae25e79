//! What is no cartridge, or not ours to touch, is refused in one sentence and stays as it was.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fazt_tests::{Ended, Home, Launch, fingerprint, skipped};

/// A cartridge with a site, stopped.
fn cartridge() -> Home {
    let home = Home::new();
    let node = home.start();
    assert_eq!(node.deploy("hello", &[("index.html", "hello")]).status, 200);
    assert!(node.stop().success());
    home
}

/// Every file below a directory, with its fingerprint.
fn everything(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.push((path.clone(), "directory".to_owned()));
            all.extend(everything(&path));
        } else {
            all.push((path.clone(), fingerprint(&path)));
        }
    }
    all.sort();
    all
}

#[track_caller]
fn refused(db: &Path, says: &str) -> Ended {
    let directory = db.parent().filter(|parent| parent.is_dir());
    let before = directory.map(everything);
    let ended = Launch::new(db).try_start().unwrap_err();
    assert!(ended.code.is_some_and(|code| code != 0), "{ended:?}");
    assert!(ended.is_one_sentence() && ended.err.contains(says), "{}", ended.err);
    assert_eq!(directory.map(everything), before, "{says}");
    ended
}

/// Changes one number in the header of a stopped cartridge.
fn patch(db: &Path, at: usize, number: u32) {
    let mut bytes = std::fs::read(db).unwrap();
    bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
    std::fs::write(db, bytes).unwrap();
}

#[test]
fn a_newer_schema_is_refused_by_the_server_and_by_commands() {
    let home = cartridge();
    patch(&home.db(), 60, 9_999);
    refused(&home.db(), "use a newer fazt");
    let before = everything(home.db().parent().unwrap());
    for words in ["app list", "cartridge backup copy.db", "alias add www hello"] {
        let said = home.fazt(words);
        assert_ne!(said.code, Some(0), "{words}: {said:?}");
        assert!(said.err.contains("use a newer fazt"), "{words}: {said:?}");
        assert_eq!(everything(home.db().parent().unwrap()), before, "{words}");
    }
}

#[test]
fn files_that_are_no_cartridge_are_refused() {
    let home = Home::new();
    std::fs::write(home.path("empty.db"), "").unwrap();
    refused(&home.path("empty.db"), "it is empty");

    std::fs::write(home.path("text.db"), "Dear diary, ".repeat(1_000)).unwrap();
    refused(&home.path("text.db"), "it is not a SQLite database");

    std::fs::write(home.path("short.db"), "SQLite format 3\0").unwrap();
    refused(&home.path("short.db"), "it is not a SQLite database");

    let other = rusqlite::Connection::open(home.path("other.db")).unwrap();
    other.execute_batch("PRAGMA user_version = 3; CREATE TABLE app (id TEXT)").unwrap();
    other.close().unwrap();
    refused(&home.path("other.db"), "database of another program");

    std::fs::create_dir(home.path("directory.db")).unwrap();
    refused(&home.path("directory.db"), "not a regular file");

    std::os::unix::fs::symlink(home.path("nowhere.db"), home.path("dangling.db")).unwrap();
    let names = |home: &Home| std::fs::read_dir(home.db().parent().unwrap()).unwrap().count();
    let before = names(&home);
    let ended = Launch::new(&home.path("dangling.db")).try_start().unwrap_err();
    assert!(ended.code.is_some_and(|code| code != 0) && !ended.err.is_empty(), "{ended:?}");
    assert_eq!(names(&home), before, "{ended:?}");
}

#[test]
fn a_header_over_rubbish_is_refused_or_reported_but_never_served() {
    let home = cartridge();
    let mut bytes = std::fs::read(home.db()).unwrap();
    for byte in &mut bytes[100..] {
        *byte = byte.wrapping_mul(31).wrapping_add(7);
    }
    std::fs::write(home.db(), bytes).unwrap();
    let ended = Launch::new(&home.db()).try_start().unwrap_err();
    assert!(ended.code.is_some_and(|code| code != 0), "{ended:?}");
    assert!(ended.err.starts_with("error: ") && !ended.err.contains("panicked"), "{}", ended.err);
}

#[test]
fn commands_other_than_a_start_make_no_cartridge() {
    let home = Home::new();
    for words in ["app list", "alias add a b", "cartridge backup x.db", "server status"] {
        let said = home.fazt(words);
        assert_ne!(said.code, Some(0), "{words}: {said:?}");
        assert!(!said.err.is_empty(), "{words}");
        assert!(!home.db().exists(), "{words}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_or_written_is_named() {
    let home = cartridge();
    std::fs::write(home.path("file"), "").unwrap();
    refused(&home.path("file/data.db"), "file");

    let directory = home.path("read-only");
    std::fs::create_dir(&directory).unwrap();
    std::fs::copy(home.db(), directory.join("data.db")).unwrap();
    std::fs::set_permissions(&directory, Permissions::from_mode(0o500)).unwrap();
    if std::fs::write(directory.join("probe"), "").is_ok() {
        drop(std::fs::remove_file(directory.join("probe")));
        std::fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
        read_only_mount(&directory);
        return;
    }
    refused(&directory.join("data.db"), "read-only");
    refused(&directory.join("new.db"), "read-only");
    std::fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
}

/// For root, whom permissions do not stop: a mount that cannot be written.
fn read_only_mount(directory: &Path) {
    let script = format!(
        "mount --bind '{0}' '{0}' && mount -o remount,ro,bind '{0}' && exec \"$@\"",
        directory.display()
    );
    let tool = ["unshare", "-rm", "sh", "-c", &script, "sh"];
    let can = std::process::Command::new(tool[0]).args(&tool[1..]).arg("true").output();
    if !can.is_ok_and(|output| output.status.success()) {
        skipped(
            "a read-only directory",
            "root may write everywhere, and mounting is not permitted",
        );
        return;
    }
    let before = everything(directory);
    for name in ["data.db", "new.db"] {
        let ended = Launch::new(&directory.join(name)).under(tool).try_start().unwrap_err();
        assert!(ended.code.is_some_and(|code| code != 0), "{ended:?}");
        assert!(ended.is_one_sentence() && ended.err.contains("ead-only"), "{ended:?}");
    }
    assert_eq!(everything(directory), before);
}
