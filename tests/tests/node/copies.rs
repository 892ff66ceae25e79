//! A cartridge can be copied when it is stopped, by a backup while it runs, and after a crash.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use fazt_tests::{Home, Launch, Node, Random, Request, archive, until};

/// Names of the files beside the cartridge, its own included.
fn files(home: &Home) -> BTreeSet<String> {
    let entries = std::fs::read_dir(home.db().parent().unwrap()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A site with a small file, a large one and one in a folder.
fn site(seed: u64) -> Vec<(&'static str, Vec<u8>)> {
    let mut random = Random::new(seed);
    vec![
        ("index.html", format!("<p>site {seed}").into_bytes()),
        ("large.bin", random.bytes(700_000)),
        ("some/where/deep.css", random.bytes(10_000)),
    ]
}

#[track_caller]
fn serves(node: &Node, app: &str, site: &[(&str, Vec<u8>)]) {
    for (path, content) in site {
        let answer =
            node.get(&format!("{app}.localhost"), &format!("/{}", path.replace("index.html", "")));
        assert_eq!((answer.status, &answer.body), (200, content), "{app} {path}");
    }
}

#[test]
fn a_stopped_cartridge_is_one_file_and_a_copy_serves_the_same_bytes() {
    let (home, elsewhere) = (Home::new(), Home::new());
    let node = home.start();
    assert_eq!(node.deploy("blog", &site(1)).status, 200);
    assert_eq!(node.deploy("shop", &site(2)).status, 200);
    assert!(node.stop().success());
    assert_eq!(files(&home), BTreeSet::from(["data.db".to_owned()]));

    std::fs::copy(home.db(), elsewhere.db()).unwrap();
    let node = elsewhere.start();
    serves(&node, "blog", &site(1));
    serves(&node, "shop", &site(2));
    assert!(node.stop().success());
}

#[test]
fn after_kill_9_the_file_and_its_log_serve_what_was_acknowledged() {
    let (home, elsewhere) = (Home::new(), Home::new());
    let node = home.start();
    assert_eq!(node.deploy("blog", &site(1)).status, 200);
    assert_eq!(node.deploy("blog", &site(2)).status, 200);
    drop(node.kill());
    assert!(home.path("data.db-wal").metadata().unwrap().len() > 0, "the log holds something");
    for name in ["data.db", "data.db-wal"] {
        std::fs::copy(home.path(name), elsewhere.path(name)).unwrap();
    }
    let node = elsewhere.start();
    serves(&node, "blog", &site(2));
    assert!(node.stop().success());
}

#[test]
fn a_backup_and_a_verification_take_as_long_as_they_take() {
    let home = Home::new();
    let node = home.start();
    let noise = Random::new(5).bytes(8_000_000);
    assert_eq!(
        node.deploy("blog", &[("index.html", b"home".to_vec()), ("noise.bin", noise)]).status,
        200
    );
    assert!(node.stop().success());
    // What grows with the cartridge is not cut by what bounds a request.
    let node = Launch::new(&home.db()).set("edge.request_ms=10 ms").start();
    for command in ["cartridge backup copy.db", "cartridge verify"] {
        let said = home.fazt(command);
        assert_eq!(said.code, Some(0), "{command}: {said:?}");
    }
    assert!(home.path("copy.db").metadata().unwrap().len() > 8_000_000);
    assert!(node.stop().success());
}

#[test]
fn a_backup_taken_while_writes_run_serves_elsewhere() {
    let (home, elsewhere) = (Home::new(), Home::new());
    let node = home.start();
    assert_eq!(node.deploy("still", &site(1)).status, 200);
    let key = node.key(&["read", "deploy", "admin"], None);
    let (done, generation) = (AtomicBool::new(false), AtomicU64::new(0));
    let backups = 3;
    let mut least = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = node.client();
            while !done.load(SeqCst) {
                let next = generation.load(SeqCst) + 1;
                let files = [("index.html", next.to_string()), ("asset.js", next.to_string())];
                let request = Request::deploy("busy", archive(&files)).key(&key);
                assert_eq!(client.send(&request).unwrap().status, 200);
                generation.store(next, SeqCst);
            }
        });
        for number in 0..backups {
            let before = generation.load(SeqCst);
            until(Duration::from_secs(30), "deploys go on", || {
                generation.load(SeqCst) > before + 1
            });
            least.push(generation.load(SeqCst));
            let said = home.fazt(&format!("cartridge backup copy-{number}.db"));
            assert_eq!(said.code, Some(0), "{said:?}");
        }
        done.store(true, SeqCst);
    });
    drop(node);
    for (number, least) in least.into_iter().enumerate() {
        let backup = home.path(&format!("copy-{number}.db"));
        let to = elsewhere.path(&format!("{number}.db"));
        let said = elsewhere.fazt(&format!(
            "cartridge restore {} --db {}",
            backup.display(),
            to.display()
        ));
        assert_eq!(said.code, Some(0), "{said:?}");
        let node = Launch::new(&to).start();
        serves(&node, "still", &site(1));
        let index: u64 = node.get("busy.localhost", "/").text().parse().unwrap();
        let asset: u64 = node.get("busy.localhost", "/asset.js").text().parse().unwrap();
        assert_eq!(index, asset, "one generation");
        assert!(index >= least, "generation {least} was acknowledged before, {index} is in it");
        assert!(node.stop().success());
    }
}

/// Files that begin like a backup on its way out.
fn unfinished(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".backup-")).collect()
}

#[test]
fn a_backup_that_kill_9_interrupts_leaves_nothing_after_the_next_start() {
    let home = Home::new();
    let node = home.start();
    let mut random = Random::new(7);
    for app in 0..3 {
        let large = [("index.html", random.bytes(10_000_000))];
        assert_eq!(node.deploy(&format!("large-{app}"), &large).status, 200);
    }
    let key = node.key(&["admin"], None);
    let mut client = node.client();
    let request = Request::admin("GET", "/api/system/backup").key(&key);
    client.write(&request.bytes(node.port())).unwrap();
    let directory = home.db();
    let directory = directory.parent().unwrap();
    until(Duration::from_secs(10), "the backup begins", || !unfinished(directory).is_empty());
    drop(node.kill());
    let node = home.start();
    assert_eq!(unfinished(directory), Vec::<String>::new());
    assert!(node.stop().success());
}
