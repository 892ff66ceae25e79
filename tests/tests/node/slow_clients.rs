//! Clients that send or take next to nothing are ended, and take nothing from anybody else.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use fazt_tests::{
    Client, Home, Launch, Node, Random, RawClient, Request, Stopwatch, allow_many_files, hex,
    memory, memory_peak, setting, until,
};
use serde_json::json;

/// How a slow client is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Silent,
    Head,
    Body,
    Reading,
    Idle,
}

const WAYS: [Way; 5] = [Way::Silent, Way::Head, Way::Body, Way::Reading, Way::Idle];

struct Slow {
    way: Way,
    client: RawClient,
    since: Stopwatch,
    ended: Option<Duration>,
}

impl Slow {
    fn open(number: u32, port: u16) -> Self {
        let way = WAYS[number as usize % WAYS.len()];
        let mut client = RawClient::connect(number, port).unwrap();
        client.send(match way {
            Way::Silent => b"",
            Way::Head => b"GET / HTTP/1.1\r\nhost: blog.localhost\r\nx: ",
            Way::Body => {
                b"POST /login HTTP/1.1\r\nhost: admin.localhost\r\ncontent-length: 1000\r\n\r\n"
            }
            Way::Reading => b"GET /large.bin HTTP/1.1\r\nhost: blog.localhost\r\n\r\n",
            Way::Idle => b"GET / HTTP/1.1\r\nhost: blog.localhost\r\n\r\n",
        });
        Self { way, client, since: Stopwatch::start(), ended: None }
    }

    /// Sends or takes one byte, and looks whether it was ended.
    fn trickle(&mut self) {
        if self.ended.is_some() {
            return;
        }
        if matches!(self.way, Way::Head | Way::Body) {
            self.client.send(b"a");
        }
        let taken = if self.way == Way::Idle { 1_000 } else { 1 };
        if self.client.is_closed(taken) {
            self.ended = Some(self.since.elapsed());
        }
    }
}

fn site(home: &Home, launch: impl FnOnce(Launch) -> Launch, large: usize) -> Node {
    // Without it the system's usual 1,024 open files would be the limit.
    let many = ["sh", "-c", "ulimit -n $(ulimit -H -n) && exec \"$@\"", "sh"];
    let launch = launch(Launch::new(&home.db()).under(many));
    let node = launch.set("hosting.precompress_bytes_max=0").start();
    put(&node, "blog", &[("index.html", b"fine"), ("large.bin", &Random::new(3).bytes(large))]);
    node
}

/// Deploys files one by one: to pack as much as this would take longer than all the rest.
fn put(node: &Node, app: &str, files: &[(&str, &[u8])]) {
    let list: Vec<_> = files
        .iter()
        .map(|(path, content)| json!({"path": path, "sha256": hex(content), "size": content.len()}))
        .collect();
    let begin = Request::admin("POST", &format!("/api/apps/{app}/deployments"));
    let begun = node.ask(&begin.json(&json!({ "files": list })));
    assert_eq!(begun.status, 200, "{}", begun.text());
    for (_, content) in files {
        let put = Request::admin("PUT", &format!("/api/blobs/{}", hex(content)));
        assert_eq!(node.ask(&put.body("application/octet-stream", *content)).status, 200);
    }
    let begun = begun.json();
    let id = begun["data"]["deployment_id"].as_str().unwrap();
    let activate = Request::admin("POST", &format!("/api/deployments/{id}/activate"));
    assert_eq!(node.ask(&activate).status, 200);
}

/// How long requests on connections of their own take, the longest last.
fn probes(node: &Node, count: usize) -> Vec<Duration> {
    let mut took: Vec<Duration> = (0..count)
        .map(|_| {
            let watch = Stopwatch::start();
            assert_eq!(node.get("blog.localhost", "/").text(), "fine");
            watch.elapsed()
        })
        .collect();
    took.sort();
    took
}

fn percentile(took: &[Duration]) -> Duration {
    took[took.len() * 99 / 100]
}

/// Slow clients at once; a longer run has more of them.
fn clients() -> u32 {
    u32::try_from(setting("SLOW_CLIENTS", 1_000)).unwrap()
}

/// Many slow clients, until all are ended; how long requests of others took meanwhile.
fn wave(node: &Node) -> Vec<Duration> {
    let mut slow: Vec<Slow> =
        (0..clients()).map(|number| Slow::open(number, node.port())).collect();
    let are_ended = AtomicBool::new(false);
    let probed = std::thread::scope(|scope| {
        scope.spawn(|| {
            let watch = Stopwatch::start();
            while slow.iter().any(|one| one.ended.is_none()) && watch.elapsed().as_secs() < 20 {
                slow.iter_mut().for_each(Slow::trickle);
                std::thread::sleep(Duration::from_millis(100));
            }
            are_ended.store(true, SeqCst);
        });
        let mut probed = Vec::new();
        while !are_ended.load(SeqCst) {
            probed.extend(probes(node, 1));
            std::thread::sleep(Duration::from_millis(20));
        }
        probed.sort();
        probed
    });
    for way in WAYS {
        let ended = slow.iter().filter(|one| one.way == way).map(|one| one.ended);
        let last = ended.max_by_key(|ended| ended.map_or(Duration::MAX, |after| after)).unwrap();
        let last = last.unwrap_or_else(|| panic!("{way:?} is still open"));
        println!("slow clients: {way:?} ended after {last:?} at most");
        assert!(last < Duration::from_secs(15), "{way:?} was ended after {last:?}");
    }
    probed
}

#[test]
fn a_thousand_slow_clients_are_ended_and_nobody_else_notices() {
    let promised = Duration::from_millis(if clients() > 1_000 { 100 } else { 50 });
    allow_many_files();
    let home = Home::new();
    let limits = |launch: Launch| {
        let limits = ["header_ms=3 s", "idle_ms=3 s", "body_window_ms=1500 ms", "write_ms=3 s"];
        limits.iter().fold(launch, |launch, limit| launch.set(&format!("edge.{limit}")))
    };
    let node = site(&home, limits, 8 << 20);
    let quiet = percentile(&probes(&node, 200));
    let first = wave(&node);
    let settled = memory(node.pid());
    let second = wave(&node);
    for probed in [first, second] {
        let (slowest, busy) = (probed[probed.len() - 1], percentile(&probed));
        println!("slow clients: {} probes, p99 {busy:?} (without them {quiet:?})", probed.len());
        assert!(slowest < Duration::from_secs(1), "a request took {slowest:?}");
        assert!(busy < promised.max(3 * quiet), "p99 {busy:?}, before {quiet:?}");
    }
    // What the first ones made it take from the system is kept for the next; nothing is lost.
    let (grown, peak) = (memory(node.pid()).saturating_sub(settled), memory_peak(node.pid()));
    println!("slow clients: {} MiB at most, {} more in the second wave", peak >> 20, grown >> 20);
    assert!(grown < u64::from(clients()) << 15, "{grown} bytes more after the second wave");
    assert!(peak < u64::from(clients()) << 18, "{peak} bytes at once");
    assert!(!node.errors().contains("panicked"), "{}", node.errors());
    assert!(node.stop().success());
}

#[test]
fn a_body_that_trickles_is_ended_and_holds_no_place() {
    let home = Home::new();
    let limits =
        |launch: Launch| launch.set("edge.body_window_ms=1500 ms").set("hosting.uploads_at_once=1");
    let node = site(&home, limits, 1);
    let key = node.key(&["deploy"], None);
    let site = fazt_tests::archive(&[("index.html", "second")]);
    let deploy = Request::deploy("blog", site.clone()).key(&key);
    let whole = deploy.clone().field("expect", "100-continue").bytes(node.port());
    let head = &whole[..whole.len() - site.len()];
    let login = b"POST /login HTTP/1.1\r\nhost: admin.localhost\r\ncontent-length: 1000\r\n\r\n";
    let input = b"POST /api/apps HTTP/1.1\r\nhost: admin.localhost\r\ncontent-length: 1000\r\n\
        content-type: application/json\r\nauthorization: Bearer ";
    let input = [&input[..], node.key(&["admin"], None).as_bytes(), b"\r\n\r\n"].concat();
    for (what, head) in [("deploy", head), ("login", login), ("input", &input)] {
        let mut client = RawClient::connect(0, node.port()).unwrap();
        assert_eq!(client.send(head), head.len());
        if what == "deploy" {
            // It asks to be told when its body is read: then it has the only place.
            until(Duration::from_secs(10), "the place is taken", || !client.take(100).is_empty());
            let refused = node.send(&deploy);
            assert_eq!(refused.status, 503, "{}", refused.text());
        }
        let watch = Stopwatch::start();
        until(Duration::from_secs(15), what, || {
            std::thread::sleep(Duration::from_millis(100));
            client.send(b"P");
            client.is_closed(1)
        });
        println!("slow clients: the body of {what} was ended after {:?}", watch.elapsed());
    }
    until(Duration::from_secs(2), "the place is free again", || node.send(&deploy).status == 200);
    assert_eq!(node.get("blog.localhost", "/").text(), "second");
    assert!(node.stop().success());
}

/// A reader that pinned a state of the cartridge would keep its log from starting anew.
#[test]
fn slow_readers_of_a_large_file_do_not_make_the_log_grow() {
    allow_many_files();
    let home = Home::new();
    let node = site(&home, |launch| launch, 50 << 20);
    let mut readers: Vec<RawClient> =
        (0..100).map(|number| RawClient::connect(number, node.port()).unwrap()).collect();
    for reader in &mut readers {
        reader.send(b"GET /large.bin HTTP/1.1\r\nhost: blog.localhost\r\n\r\n");
    }
    until(Duration::from_secs(20), "each has got something", || {
        readers.iter_mut().all(|reader| !reader.take(1).is_empty())
    });
    let log = home.path("data.db-wal");
    let mut longest = 0;
    for number in 0..12 {
        put(&node, "other", &[("index.html", &Random::new(100 + number).bytes(8 << 20))]);
        for (number, reader) in readers.iter_mut().enumerate() {
            // Some are so fast that they come to the next piece of the file every time.
            let len = if number % 10 == 0 { 1 << 20 } else { 1 };
            assert!(!reader.is_closed(len), "a reader was ended in the middle");
        }
        longest = longest.max(log.metadata().map_or(0, |log| log.len()));
    }
    println!("slow clients: log of at most {} MiB after 96 MiB of deploys", longest >> 20);
    assert!(longest <= 64 << 20, "{longest} bytes of log");
    assert_eq!(
        Client::connect(node.port())
            .unwrap()
            .send(&Request::get("blog.localhost", "/"))
            .unwrap()
            .status,
        200
    );
    assert!(node.stop().success());
}
