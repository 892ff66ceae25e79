//! Names move under their visitors: content follows at one moment, and nobody sees an error.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use fazt_tests::{Client, Home, Node, Request};
use serde_json::{Value, json};

const SWAPS: u64 = 1_000;
const READERS: usize = 50;

/// After so many swaps the next one waits until readers of both names saw the state that they left.
/// An odd number, so that both states are seen.
const SWAPS_UNSEEN_MAX: u64 = 21;

/// Which app a file says that it is from, at its start and at its end.
fn origin(body: &[u8]) -> String {
    let text = std::str::from_utf8(body).unwrap();
    let mut words = text.split_whitespace();
    let (first, last) = (words.next().unwrap(), words.next_back().unwrap());
    assert_eq!(first, last, "one file of two apps");
    first.to_owned()
}

/// Ends the test for everybody when the reader that holds it fails.
struct EndsAll<'t>(&'t AtomicBool);

impl Drop for EndsAll<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn site(name: &str) -> Vec<(String, String)> {
    let content = format!("{name} {} {name}", "x".repeat(5_000));
    vec![("index.html".to_owned(), content.clone()), ("asset.js".to_owned(), content)]
}

fn get(client: &mut Client, host: &str, path: &str) -> String {
    let answer = client.send(&Request::get(host, path)).unwrap();
    assert_eq!(answer.status, 200, "{host}{path}: {}", answer.text());
    origin(&answer.body)
}

/// An admin operation that has to succeed; its data.
fn operate(node: &Node, key: &str, method: &str, path: &str, input: &Value) -> Value {
    let request = Request::admin(method, path).key(key).json(input);
    let answer = node.send(&request);
    assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
    answer.json()["data"].clone()
}

/// A reader notes how many swaps had ended before its first request and how many had begun after its
/// last. When both are the same number, no swap came between, and the pair is of the one app that the
/// alias led to then. Pairs with a swap in between are still whole files and never an error.
#[test]
fn a_thousand_swaps_under_fifty_readers_never_mix_a_page_and_its_asset() {
    let home = Home::new();
    let node = home.start();
    let key = node.key(&["admin"], None);
    for app in ["blue", "green"] {
        assert_eq!(node.deploy(app, &site(app)).status, 200);
    }
    let (begun, ended, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let (reads, newest_seen) = (AtomicU64::new(0), [AtomicU64::new(0), AtomicU64::new(0)]);
    let pairs = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for reader in 0..READERS {
            let (node, begun, ended, done) = (&node, &begun, &ended, &done);
            let (reads, newest_seen, pairs) = (&reads, &newest_seen, &pairs);
            scope.spawn(move || {
                let _ends_all = EndsAll(done);
                let mut client = node.client();
                let (host, other) = if reader % 2 == 0 {
                    ("blue.localhost", ["blue", "green"])
                } else {
                    ("green.localhost", ["green", "blue"])
                };
                while !done.load(SeqCst) {
                    let before = ended.load(SeqCst);
                    let page = get(&mut client, host, "/");
                    let asset = get(&mut client, host, "/asset.js");
                    reads.fetch_add(2, SeqCst);
                    let state = |swaps: u64| other[usize::try_from(swaps % 2).unwrap()];
                    match begun.load(SeqCst) - before {
                        0 => {
                            let expected = (state(before), state(before));
                            assert_eq!((&*page, &*asset), expected, "after {before} swaps");
                            pairs.fetch_add(1, SeqCst);
                            newest_seen[reader % 2].fetch_max(before + 1, SeqCst);
                        }
                        // With one swap in between nothing goes back to the state before it.
                        1 if page == state(before + 1) => assert_eq!(asset, state(before + 1)),
                        _ => {}
                    }
                }
            });
        }
        let mut swapper = node.client();
        let swap = Request::admin("POST", "/api/aliases/swap")
            .key(&key)
            .json(&json!({ "alias1": "blue", "alias2": "green" }));
        for number in 0..SWAPS {
            let is_seen = || newest_seen.iter().all(|newest| newest.load(SeqCst) > number);
            while number.is_multiple_of(SWAPS_UNSEEN_MAX) && !is_seen() {
                assert!(!done.load(SeqCst), "a reader failed");
                std::thread::yield_now();
            }
            begun.fetch_add(1, SeqCst);
            let answer = swapper.send(&swap).unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            ended.fetch_add(1, SeqCst);
        }
        done.store(true, SeqCst);
    });
    println!(
        "swapping: {SWAPS} swaps under {READERS} readers, {} reads, {} pairs between two swaps, 0 mixed, 0 errors",
        reads.into_inner(),
        pairs.into_inner()
    );
    assert!(node.stop().success());
}

#[test]
fn content_follows_every_move_of_a_name() {
    let home = Home::new();
    let node = home.start();
    let key = node.key(&["admin"], None);
    for app in ["blue", "green"] {
        assert_eq!(node.deploy(app, &site(app)).status, 200);
    }
    let mut client = node.client();
    operate(&node, &key, "PUT", "/api/aliases/www", &json!({ "app": "blue" }));
    assert_eq!(get(&mut client, "www.localhost", "/asset.js"), "blue");
    operate(&node, &key, "PUT", "/api/aliases/www", &json!({ "app": "green" }));
    assert_eq!(get(&mut client, "www.localhost", "/asset.js"), "green");

    // A copy serves the same, and outlives what it was copied from.
    operate(&node, &key, "POST", "/api/apps/blue/fork", &json!({ "as": "copy" }));
    assert_eq!(get(&mut client, "copy.localhost", "/"), "blue");
    assert_eq!(node.deploy("blue", &site("blue2")).status, 200);
    assert_eq!(get(&mut client, "copy.localhost", "/"), "blue");
    assert_eq!(node.send(&Request::admin("DELETE", "/api/apps/blue").key(&key)).status, 200);
    assert_eq!(node.get("blue.localhost", "/").status, 404);
    assert_eq!(get(&mut client, "copy.localhost", "/asset.js"), "blue");

    // Visitors of a split see one app each, page and asset alike.
    let targets = json!({ "targets": ["copy:50", "green:50"] });
    operate(&node, &key, "POST", "/api/aliases/www/split", &targets);
    let mut seen = Vec::new();
    for _ in 0..40 {
        let first = node.get("www.localhost", "/");
        let cookie = first.field("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let asset = Request::get("www.localhost", "/asset.js").field("cookie", &cookie);
        let asset = client.send(&asset).unwrap();
        assert_eq!(origin(&first.body), origin(&asset.body));
        assert_eq!(asset.field("cache-control"), Some("private, no-cache"));
        seen.push(origin(&first.body));
    }
    assert!(seen.contains(&"blue".to_owned()) && seen.contains(&"green".to_owned()), "{seen:?}");
    assert!(node.stop().success());
}

/// Names and paths that run together into the same text are still of different apps.
#[test]
fn apps_whose_names_and_paths_run_together_never_share_a_cached_answer() {
    let home = Home::new();
    let node = home.start();
    let sites = [
        ("a", &["b-c/d.txt", "b/c/d.txt", "x.txt", "b--x.txt"][..]),
        ("a-b", &["c/d.txt", "x.txt"]),
        ("a--b", &["c/d.txt", "x.txt"]),
        ("b", &["c/d.txt", "x.txt", "a/x.txt"]),
        ("ab", &["c/d.txt", "x.txt"]),
    ];
    for (app, paths) in sites {
        let files: Vec<_> =
            paths.iter().map(|path| (*path, format!("{app} {path} {app}"))).collect();
        assert_eq!(node.deploy(app, &files).status, 200, "{app}");
    }
    // Twice: the second time from whatever is kept in memory.
    for _ in 0..2 {
        for (app, paths) in sites {
            let host = format!("{app}.localhost");
            let mut client = node.client();
            for path in sites.iter().flat_map(|(_, paths)| *paths) {
                let answer = client.send(&Request::get(&host, format!("/{path}"))).unwrap();
                if paths.contains(path) {
                    assert_eq!(answer.text(), format!("{app} {path} {app}"), "{host}/{path}");
                } else {
                    assert_eq!(answer.status, 404, "{host}/{path}: {}", answer.text());
                }
            }
        }
    }
    assert!(node.stop().success());
}
