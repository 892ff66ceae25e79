//! A site is replaced under its visitors: nobody sees an error, and nobody sees half of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use fazt_tests::{Home, Request, archive};

const DEPLOYS: u64 = 50;
const READERS: usize = 50;

/// The generation that a file of the site says it is from, twice: at its start and at its end.
fn generation(body: &[u8]) -> u64 {
    let text = std::str::from_utf8(body).unwrap();
    let mut words = text.split_whitespace();
    let (first, last) = (words.next().unwrap(), words.next_back().unwrap());
    assert_eq!(first, last, "one file of two generations");
    first.parse().unwrap()
}

fn site(number: u64) -> Vec<u8> {
    let filler = "x".repeat(20_000);
    let content = format!("{number} {filler} {number}");
    archive(&[("index.html", &content), ("asset.js", &content), ("page/index.html", &content)])
}

#[test]
fn fifty_deploys_under_fifty_readers_are_seen_whole_and_in_order() {
    let home = Home::new();
    let node = home.start();
    let key = node.key(&["deploy"], None);
    let mut deployer = node.client();
    let mut deploy = |number| {
        let answer = deployer.send(&Request::deploy("site", site(number)).key(&key)).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    deploy(1);
    let (done, reads, seen) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                let mut client = node.client();
                let mut get = |path: &str| {
                    let answer = client.send(&Request::get("site.localhost", path)).unwrap();
                    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
                    reads.fetch_add(1, SeqCst);
                    generation(&answer.body)
                };
                let mut last = 0;
                while !done.load(SeqCst) {
                    // What is asked for later is never older: a page and its asset are one
                    // generation, unless a deploy came between the two.
                    for path in ["/", "/asset.js", "/page", "/"] {
                        let now = get(path);
                        assert!(now >= last, "{path} went back from {last} to {now}");
                        if now != last {
                            seen.fetch_add(1, SeqCst);
                        }
                        last = now;
                    }
                }
            });
        }
        for number in 2..=DEPLOYS {
            deploy(number);
        }
        done.store(true, SeqCst);
    });
    println!(
        "replacing: {DEPLOYS} deploys under {READERS} readers, {} reads, {} changes seen, 0 errors",
        reads.into_inner(),
        seen.into_inner()
    );
    assert_eq!(generation(&node.get("site.localhost", "/").body), DEPLOYS);
    assert!(node.stop().success());
}
