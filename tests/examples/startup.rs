//! How long a node takes from its start to its first page, and what it holds while idle.
//!
//! `cargo build --release -p fazt && FAZT_BIN=target/release/fazt cargo run -p fazt-tests --example startup`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program that measures fails where something is missing, and prints its figures"
)]

use std::time::Duration;

use fazt_tests::{Client, Home, Launch, Random, Request, Stopwatch, setting};

fn main() {
    let (apps, starts) = (setting("STARTUP_APPS", 20), setting("STARTUP_STARTS", 10));
    let home = Home::new();
    let node = home.start();
    let mut random = Random::new(1);
    for app in 0..apps {
        let files: Vec<(String, Vec<u8>)> = (0..20)
            .map(|n| (format!("page-{n}.html"), random.bytes(10_000)))
            .chain([("index.html".to_owned(), b"<p>hello".to_vec())])
            .collect();
        assert_eq!(node.deploy(&format!("app-{app}"), &files).status, 200);
    }
    assert!(node.stop().success());
    let size = home.db().metadata().unwrap().len();

    let (mut listening, mut first_page, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..starts {
        let watch = Stopwatch::start();
        let node = Launch::new(&home.db()).start();
        listening.push(watch.elapsed());
        let mut client = Client::connect(node.port()).unwrap();
        let answer = client.send(&Request::get("app-0.localhost", "/")).unwrap();
        first_page.push(watch.elapsed());
        assert_eq!(answer.status, 200);
        drop(client);
        // Idle is what the log being emptied leaves behind: a second without a write.
        std::thread::sleep(Duration::from_millis(1_500));
        memory.push((figure(node.pid(), "Rss:"), figure(node.pid(), "Pss:")));
        assert!(node.stop().success());
    }
    memory.sort_unstable();
    let (rss, pss) = memory[memory.len() / 2];
    println!(
        "cartridge: {apps} apps of 21 files, {} KiB\nstarts: {starts}, medians\n\
         until it listens: {:.1} ms\nuntil the first 200: {:.1} ms\nidle RSS: {rss} KiB\n\
         idle PSS: {pss} KiB",
        size / 1024,
        median(listening).as_secs_f64() * 1e3,
        median(first_page).as_secs_f64() * 1e3,
    );
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// A figure about a process's memory, in KiB.
fn figure(pid: i32, name: &str) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
