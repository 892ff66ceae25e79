//! One server for each cartridge; commands find the one that runs.

use std::path::Path;
use std::time::Duration;

use fazt_tests::{Home, Launch, Node, fingerprint, until};

/// The bytes of the cartridge and its log, once the log has come to rest.
fn at_rest(db: &Path) -> (String, Option<String>) {
    let log = db.with_file_name("data.db-wal");
    until(Duration::from_secs(10), "the log is emptied", || {
        log.metadata().map_or(0, |metadata| metadata.len()) == 0
    });
    (fingerprint(db), log.exists().then(|| fingerprint(&log)))
}

fn refuses_a_second(node: &Node, home: &Home, through: &Path) {
    let before = at_rest(&home.db());
    let ended = Launch::new(through).try_start().unwrap_err();
    assert_eq!(at_rest(&home.db()), before, "{}", through.display());
    assert!(ended.took < Duration::from_secs(1), "{:?}", ended.took);
    assert!(ended.code.is_some_and(|code| code != 0), "{ended:?}");
    assert!(ended.is_one_sentence(), "{}", ended.err);
    assert!(ended.err.contains(&format!("process {}", node.pid())), "{}", ended.err);
    assert_eq!(node.get("hello.localhost", "/").text(), "hello", "the first one goes on");
}

#[test]
fn a_second_server_is_refused_by_any_name_and_changes_nothing() {
    let home = Home::new();
    let node = home.start();
    assert_eq!(node.deploy("hello", &[("index.html", "hello")]).status, 200);
    refuses_a_second(&node, &home, &home.db());

    let link = home.path("link.db");
    std::os::unix::fs::symlink(home.db(), &link).unwrap();
    refuses_a_second(&node, &home, &link);

    let elsewhere = Home::new();
    let directory = elsewhere.path("same");
    std::os::unix::fs::symlink(home.db().parent().unwrap(), &directory).unwrap();
    refuses_a_second(&node, &home, &directory.join("data.db"));

    std::fs::hard_link(home.db(), elsewhere.path("data.db")).unwrap();
    refuses_a_second(&node, &home, &elsewhere.path("data.db"));
    assert!(!elsewhere.path("data.db.lock").exists() && !elsewhere.path("data.db-wal").exists());
    assert!(node.stop().success());
}

#[test]
fn commands_talk_to_the_node_that_runs_and_to_the_file_when_none_does() {
    let home = Home::new();
    let node = home.start();
    std::fs::create_dir(home.path("site")).unwrap();
    std::fs::write(home.path("site/index.html"), "by command").unwrap();
    let said = home.fazt("app deploy site --name hello --verbose");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("data.db.sock"), "it went over the socket: {}", said.err);
    assert_eq!(node.get("hello.localhost", "/").text(), "by command", "at once");

    drop(node.kill());
    assert!(
        home.path("data.db.sock").exists() && home.path("data.db.lock").exists(),
        "left behind"
    );
    let said = home.fazt("app list --verbose");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("hello"), "{said:?}");
    let said = home.fazt("alias add again hello");
    assert_eq!(said.code, Some(0), "{said:?}");

    let node = home.start();
    assert_eq!(node.get("again.localhost", "/").text(), "by command");
    assert!(node.stop().success());
}

#[test]
fn a_lock_that_names_a_living_stranger_is_not_in_the_way() {
    let home = Home::new();
    drop(home.start().kill());
    std::fs::write(home.path("data.db.lock"), "process 1 (server)\n").unwrap();
    let node = home.start();
    let lock = std::fs::read_to_string(home.path("data.db.lock")).unwrap();
    assert_eq!(lock, format!("process {} (server)\n", node.pid()));
    assert!(node.stop().success());
}
