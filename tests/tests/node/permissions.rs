//! What a node writes is its owner's alone, whatever the umask says.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use fazt_tests::{Home, Launch, program};

/// Becomes the program after letting everybody do everything.
const GENEROUS: [&str; 4] = ["sh", "-c", "umask 000; exec \"$@\"", "sh"];

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn files_are_0600_and_new_directories_0700_under_umask_000() {
    let home = Home::new();
    let db = home.path("made/for/it/data.db");
    let node = Launch::new(&db).under(GENEROUS).start();
    assert_eq!(node.deploy("hello", &[("index.html", "hello")]).status, 200);
    for name in ["data.db", "data.db-wal", "data.db-shm", "data.db.lock", "data.db.sock"] {
        let path = db.with_file_name(name);
        assert_eq!(mode(&path), 0o600, "{name}");
    }
    for directory in ["made", "made/for", "made/for/it"] {
        assert_eq!(mode(&home.path(directory)), 0o700, "{directory}");
    }
    let backup = home.path("backup.db");
    let command = |words: &[&Path]| {
        let mut command = Command::new(GENEROUS[0]);
        command.args(&GENEROUS[1..]).arg(program()).args(words).env_clear();
        command.env("PATH", "/usr/bin:/bin");
        assert!(command.output().unwrap().status.success());
    };
    let words = ["cartridge", "backup", "--db"].map(Path::new);
    command(&[words[0], words[1], &backup, words[2], &db]);
    assert_eq!(mode(&backup), 0o600);
    assert!(node.stop().success());

    let restored = home.path("other/data.db");
    command(&[words[0], Path::new("restore"), &backup, words[2], &restored]);
    assert_eq!(mode(&restored), 0o600);
    assert_eq!(mode(restored.parent().unwrap()), 0o700);
}

#[test]
fn rights_that_others_were_given_are_taken_back_at_the_start() {
    let home = Home::new();
    drop(home.start().kill());
    for name in ["data.db", "data.db-wal"] {
        std::fs::set_permissions(home.path(name), Permissions::from_mode(0o666)).unwrap();
    }
    let node = home.start();
    for name in ["data.db", "data.db-wal", "data.db-shm"] {
        assert_eq!(mode(&home.path(name)), 0o600, "{name}");
    }
    assert!(node.stop().success());
}
