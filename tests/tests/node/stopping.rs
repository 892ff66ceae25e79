//! A node that is asked to end finishes what it began, and forgets nothing.

use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use fazt_tests::{Broken, Client, Home, Launch, Random, Request, Stopwatch, archive, until};
use rustix::process::Signal;
use serde_json::json;

/// What a loaded node was doing when it was told to end.
#[derive(Default)]
struct Load {
    acked: Mutex<Vec<String>>,
    answers: AtomicU64,
    unanswered: AtomicU64,
    cut: Mutex<Vec<String>>,
}

impl Load {
    /// Sends until the connection ends; what broke off in the middle of an answer is written down.
    fn drive(&self, port: u16, mut next: impl FnMut() -> (Request, Option<String>)) {
        let Ok(mut client) = Client::connect(port) else { return };
        loop {
            let (request, ack) = next();
            match client.send(&request) {
                Ok(answer) => {
                    if let Some(ack) = ack.filter(|_| answer.is_success()) {
                        self.acked.lock().unwrap().push(ack);
                    }
                    self.answers.fetch_add(1, SeqCst);
                    if answer.field("connection") == Some("close") {
                        return;
                    }
                }
                Err(Broken::Before(_)) => {
                    self.unanswered.fetch_add(1, SeqCst);
                    return;
                }
                Err(broken) => {
                    self.cut.lock().unwrap().push(format!(
                        "{} after {} answers: {broken}",
                        request.line(),
                        self.answers.load(SeqCst)
                    ));
                    return;
                }
            }
        }
    }
}

fn stops_under_load(signal: Signal) {
    let home = Home::new();
    let mut node = home.start();
    let key = node.key(&["read", "deploy", "admin"], None);
    let large = Random::new(3).bytes(3_000_000);
    assert_eq!(node.deploy("large", &[("index.html", &large)]).status, 200);
    let (load, port) = (Load::default(), node.port());
    let mut took = Duration::ZERO;
    std::thread::scope(|scope| {
        let (load, key) = (&load, &key);
        for _ in 0..8 {
            scope.spawn(move || load.drive(port, || (Request::get("large.localhost", "/"), None)));
        }
        for writer in 0..8 {
            let mut n = 0;
            scope.spawn(move || {
                load.drive(port, || {
                    n += 1;
                    let name = format!("w{writer}-{n}");
                    let to = json!({"name": name, "redirect": "https://example.org/"});
                    (Request::admin("POST", "/api/aliases").json(&to).key(key), Some(name))
                });
            });
        }
        for deployer in 0..4 {
            let mut random = Random::new(deployer);
            scope.spawn(move || {
                load.drive(port, || {
                    let files = [("index.html", random.bytes(200_000))];
                    let app = format!("d{deployer}");
                    (Request::deploy(&app, archive(&files)).key(key), None)
                });
            });
        }
        until(Duration::from_secs(30), "the load runs", || load.answers.load(SeqCst) > 300);
        let watch = Stopwatch::start();
        node.signal(signal);
        let status = node.ended(Duration::from_secs(10)).unwrap();
        took = watch.elapsed();
        assert_eq!(status.code(), Some(0), "{}", node.errors());
    });
    let said = node.errors();
    assert_eq!(*load.cut.lock().unwrap(), Vec::<String>::new(), "answers broke off: {said}");
    assert!(!said.contains("panicked") && !said.contains("cut off"), "{said}");

    let node = home.start();
    let acked = load.acked.into_inner().unwrap();
    let lost = acked.iter().filter(|name| {
        node.get(&format!("{name}.localhost"), "/").field("location")
            != Some("https://example.org/")
    });
    assert_eq!(lost.count(), 0);
    println!(
        "stopping: {signal:?} under load: {} answers, {} acknowledged writes, 0 lost, 0 cut, {} \
         not begun, {} ms",
        load.answers.into_inner(),
        acked.len(),
        load.unanswered.into_inner(),
        took.as_millis()
    );
    assert!(node.stop().success());
}

#[test]
fn sigterm_under_load_loses_nothing_and_cuts_nobody_short() {
    stops_under_load(Signal::TERM);
}

#[test]
fn sigint_under_load_loses_nothing_and_cuts_nobody_short() {
    stops_under_load(Signal::INT);
}

#[test]
fn an_answer_that_is_being_read_slowly_is_finished() {
    let home = Home::new();
    let mut node = home.start();
    let large = Random::new(5).bytes(30_000_000);
    assert_eq!(node.deploy("large", &[("index.html", &large)]).status, 200);
    let mut client = node.client();
    client.write(&Request::get("large.localhost", "/").bytes(node.port())).unwrap();
    let (status, fields) = client.head().unwrap();
    node.signal(Signal::TERM);
    until(Duration::from_secs(5), "no new connections", || Client::connect(node.port()).is_err());
    assert_eq!(client.body(status, &fields).unwrap(), large);
    assert!(node.ended(Duration::from_secs(10)).unwrap().success());
}

/// An upload that stopped half way, and holds a stopping node up.
fn half_an_upload(port: u16, key: &str) -> TcpStream {
    let whole = Request::deploy("never", vec![b'x'; 100_000]).key(key).bytes(port);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    std::io::Write::write_all(&mut stream, &whole[..50_000]).unwrap();
    stream
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for second in [Signal::TERM, Signal::INT] {
        let home = Home::new();
        let mut node = home.start();
        let key = node.key(&["deploy"], None);
        let _upload = half_an_upload(node.port(), &key);
        node.signal(Signal::TERM);
        until(Duration::from_secs(5), "it says that it stops", || {
            node.errors().contains("stopping")
        });
        let watch = Stopwatch::start();
        node.signal(second);
        let status = node.ended(Duration::from_secs(10)).unwrap();
        assert!(watch.elapsed() < Duration::from_secs(1), "{:?}", watch.elapsed());
        assert!(status.code().is_some_and(|code| code != 0), "{status}");
        assert!(node.errors().contains("stopped at once"), "{}", node.errors());
        assert!(home.start().stop().success());
    }
}

#[test]
fn who_hangs_is_cut_off_when_the_time_for_draining_is_over() {
    let home = Home::new();
    let mut node = Launch::new(&home.db()).set("edge.drain_ms=1500 ms").start();
    let key = node.key(&["deploy"], None);
    let _upload = half_an_upload(node.port(), &key);
    // The upload has to be a running request, not a connection that nobody has looked at yet.
    assert_eq!(node.get("localhost", "/").status, 200);
    let watch = Stopwatch::start();
    node.signal(Signal::TERM);
    let status = node.ended(Duration::from_secs(10)).unwrap();
    let took = watch.elapsed();
    assert_eq!(status.code(), Some(0), "{}", node.errors());
    assert!((1_400..4_000).contains(&took.as_millis()), "{took:?}");
    assert!(node.errors().contains("1 connections were still busy"), "{}", node.errors());
}
