//! More connections than open files, and more uploads than memory: refused or kept waiting, and over
//! when they are over.

use std::time::Duration;

use fazt_tests::{
    Home, Launch, Node, Random, RawClient, Request, Stopwatch, allow_many_files, archive, hex,
    memory_peak, open_files, processor_time, until,
};
use serde_json::json;

/// A thousand connections to a node that may open 256 files.
fn with_few_files(launch: impl FnOnce(Launch) -> Launch) {
    allow_many_files();
    let home = Home::new();
    let few = ["sh", "-c", "ulimit -n 256 && exec \"$@\"", "sh"];
    let node = launch(Launch::new(&home.db()).under(few)).start();
    assert_eq!(node.deploy("blog", &[("index.html", "fine")]).status, 200);
    let mut held: Vec<RawClient> =
        (0..1_000).map(|number| RawClient::connect(number, node.port()).unwrap()).collect();
    until(Duration::from_secs(5), "they are accepted", || open_files(node.pid()) > 120);
    let (files, before) = (open_files(node.pid()), processor_time(node.pid()));
    let watch = Stopwatch::start();
    std::thread::sleep(Duration::from_millis(2_000));
    let spent = processor_time(node.pid()).saturating_sub(before);
    println!("few files: {files} open; {spent:?} of the processor in {:?}", watch.elapsed());
    assert!(spent < watch.elapsed() / 5, "{spent:?} of {:?}", watch.elapsed());
    assert!(files <= 256, "{files}");
    assert!(!held.iter_mut().any(|client| client.is_closed(1)), "one was turned away");

    let watch = Stopwatch::start();
    drop(held);
    assert_eq!(node.get("blog.localhost", "/").text(), "fine");
    println!("few files: an answer {:?} after they were gone", watch.elapsed());
    assert!(watch.elapsed() < Duration::from_secs(2), "{:?}", watch.elapsed());
    assert_eq!(node.deploy("blog", &[("index.html", "after")]).status, 200, "the cartridge works");
    assert!(!node.errors().contains("panicked"), "{}", node.errors());
    assert!(node.stop().success());
}

#[test]
fn a_thousand_connections_to_a_node_with_few_files_wait_in_line() {
    with_few_files(|launch| launch);
}

#[test]
fn a_node_that_runs_out_of_files_neither_spins_nor_stays_away() {
    with_few_files(|launch| launch.set("edge.connections=1000"));
}

/// The address space of a process cannot be limited to so little, as threads reserve much of it. What
/// it uses of the memory is measured instead.
const MEMORY_BYTES: u64 = 256 << 20;
const UPLOADS: u32 = 200;

/// Sends `request` on 200 connections at once, but its last byte on none, and leaves. Then it is sent
/// whole.
fn two_hundred(node: &Node, what: &str, request: &Request) {
    let mut bytes = request.bytes(node.port());
    bytes.pop();
    let mut clients: Vec<(RawClient, usize)> =
        (0..UPLOADS).map(|number| (RawClient::connect(number, node.port()).unwrap(), 0)).collect();
    let (mut at, mut still) = (0, 0);
    // Until the node takes no more of any: what it refuses, and what it holds.
    while still < 20 {
        for (client, sent) in &mut clients {
            *sent += client.send(&bytes[*sent..bytes.len().min(*sent + (64 << 10))]);
        }
        let now = clients.iter().map(|(_, sent)| sent).sum::<usize>();
        still = if now == at { still + 1 } else { 0 };
        at = now;
        std::thread::sleep(Duration::from_millis(10));
    }
    let answers: Vec<_> = clients.iter_mut().map(|(client, _)| client.take(12)).collect();
    let refused = answers.iter().filter(|answer| answer.starts_with(b"HTTP/1.1 503")).count();
    let answered = answers.iter().filter(|answer| !answer.is_empty()).count();
    let peak = memory_peak(node.pid()) >> 20;
    println!("uploads: {what}: {} MiB sent, {refused} of 200 refused, {peak} MiB used", at >> 20);
    assert_eq!(refused, answered, "another answer than 503");
    assert!((1..200).contains(&refused), "{refused}");
    assert!(memory_peak(node.pid()) < MEMORY_BYTES, "{what}: {peak} MiB");
    drop(clients);
    until(Duration::from_secs(10), "the places are free again", || {
        node.send(request).status == 200
    });
}

#[test]
fn two_hundred_uploads_at_once_fit_in_256_mib() {
    allow_many_files();
    let home = Home::new();
    let many = ["sh", "-c", "ulimit -n $(ulimit -H -n) && exec \"$@\"", "sh"];
    let node = Launch::new(&home.db()).under(many).start();
    assert_eq!(node.deploy("blog", &[("index.html", "fine")]).status, 200);
    let key = node.key(&["deploy"], None);
    let contents = [1, 2, 3].map(|seed| Random::new(seed).bytes(4 << 20));

    let zip = archive(&[("a.bin", &contents[0]), ("b.bin", &contents[1])]);
    two_hundred(&node, "archives", &Request::deploy("blog", zip).key(&key));

    let files: Vec<_> = contents
        .iter()
        .zip(1..)
        .map(|(content, n)| json!({"path": format!("{n}.bin"), "sha256": hex(content), "size": content.len()}))
        .collect();
    let begin = Request::admin("POST", "/api/apps/blog/deployments").json(&json!({"files": files}));
    assert_eq!(node.ask(&begin).status, 200);
    let put = Request::admin("PUT", &format!("/api/blobs/{}", hex(&contents[0])));
    two_hundred(&node, "contents", &put.body("application/octet-stream", &*contents[0]).key(&key));

    // One content that waits for its write, and one that is not whole.
    let mut pack = Vec::new();
    for content in &contents[1..] {
        pack.extend_from_slice(&(content.len() as u64).to_be_bytes());
        pack.extend_from_slice(content);
    }
    let packs = Request::admin("POST", "/api/blobs").body("application/vnd.fazt.blobs", pack);
    two_hundred(&node, "packs", &packs.key(&key));
    assert!(!node.errors().contains("panicked"), "{}", node.errors());
    assert!(node.stop().success());
}
