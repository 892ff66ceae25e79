//! Starting, stopping, panics, and who is at the other end.

use std::io::{Read as _, Seek as _};
use std::net::SocketAddr;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use fazt_kernel::edge::{Listener, Options};

use crate::client::{Client, eventually, now};
use crate::node::{Node, client_of};

#[test]
fn a_panic_is_a_500_and_the_next_request_works() {
    let node = Node::start();
    let mut client = node.connect();
    for (count, path) in ["/panic", "/panic-later"].into_iter().enumerate() {
        let reply = client.get(path);
        assert_eq!(reply.status, 500);
        assert!(!reply.text().contains("purpose"), "{}", reply.text());
        assert_eq!(client.get("/").text(), "ok", "on the same connection");
        assert_eq!(node.connect().get("/").text(), "ok", "on a new connection");
        assert_eq!(node.figures().panics, count as u64 + 1);
    }
    assert_eq!(*node.seen.reports.lock().unwrap(), ["panicked: on purpose"; 2]);
}

#[test]
fn draining_finishes_a_running_request_and_takes_no_new_ones() {
    let mut node = Node::start();
    let mut running = node.connect();
    running.send("GET /sleep/1500 HTTP/1.1\r\nhost: a\r\n\r\n");
    let mut idle = node.connect();
    idle.get("/");
    eventually("the request runs", || node.seen.running.load(SeqCst) == 1);
    let start = now();
    node.begin_stop();
    assert!(idle.closed_after(Duration::from_secs(3)).is_some(), "idle connections close at once");
    assert!(std::net::TcpStream::connect(node.address).is_err(), "nothing new is accepted");
    let reply = running.reply().unwrap();
    assert_eq!(reply.text(), "slept");
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(node.stopped().cut, 0);
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
}

#[test]
fn draining_ends_in_time_whatever_still_runs() {
    let mut node = Node::with(|limits| limits.drain_ms = 300);
    let mut client = node.connect();
    client.send("GET /hang HTTP/1.1\r\nhost: a\r\n\r\n");
    let mut silent = node.connect();
    silent.send("GET / HT");
    eventually("the request runs", || node.seen.running.load(SeqCst) == 1);
    eventually("both are open", || node.figures().connections_open == 2);
    let start = now();
    assert!(node.stopped().cut >= 1);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(node.seen.running.load(SeqCst), 0);
}

#[test]
fn a_unix_socket_says_who_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.sock");
    let mut node = Node::with_options(Options::default(), Some(&path));
    let reply = Client::connect_unix(&path).get("/describe");
    let seen: serde_json::Value = serde_json::from_str(&reply.text()).unwrap();
    assert_eq!(seen["uid"], rustix::process::getuid().as_raw());
    assert_eq!(seen["local"], true);
    let seen: serde_json::Value =
        serde_json::from_str(&node.connect().get("/describe").text()).unwrap();
    assert_eq!(seen["uid"], serde_json::Value::Null, "nobody is known over TCP");

    let mode = rustix::fs::stat(&path).unwrap().st_mode & 0o777;
    assert_eq!(mode, 0o600);
    let taken = Listener::unix(&path).unwrap_err();
    assert!(taken.message().contains("in use"), "{taken}");
    node.stopped();
    assert!(!path.exists(), "the socket file is gone");
}

#[test]
fn a_socket_file_left_behind_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let _node = Node::with_options(Options::default(), Some(&path));
    assert_eq!(Client::connect_unix(&path).get("/").text(), "ok");
}

#[test]
fn a_taken_port_is_named_with_what_to_do() {
    let node = Node::start();
    let error = Listener::tcp(node.address).unwrap_err();
    assert_eq!(error.code(), "PORT_IN_USE");
    let port = node.address.port().to_string();
    assert!(error.message().contains(&port), "{error}");
    assert!(error.message().contains("stop it or choose another port"), "{error}");
    let error = Listener::tcp(SocketAddr::from(([192, 0, 2, 1], 0))).unwrap_err();
    assert_eq!(error.code(), "ADDRESS_UNKNOWN");
}

#[test]
fn forwarded_addresses_count_only_from_configured_proxies() {
    let ask = |node: &Node, extra: &str| {
        let mut client = node.connect();
        client.send(format!("GET /describe HTTP/1.1\r\nhost: a\r\n{extra}\r\n"));
        client.reply().unwrap().text()
    };
    let forwarded = "x-forwarded-for: 1.1.1.1, 2.2.2.2\r\nx-forwarded-proto: https\r\n";
    let node = Node::start();
    let seen = ask(&node, forwarded);
    assert_eq!(client_of(&seen).to_string(), "127.0.0.1");
    assert!(seen.contains("\"secure\":false"), "{seen}");
    assert!(seen.contains("\"local\":false"), "who was forwarded is not local: {seen}");

    let options =
        Options { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..Options::default() };
    let node = Node::with_options(options, None);
    let seen = ask(&node, forwarded);
    assert_eq!(client_of(&seen).to_string(), "2.2.2.2");
    assert!(seen.contains("\"secure\":true") && seen.contains("\"local\":false"), "{seen}");
}

#[test]
fn connections_that_reset_at_once_do_not_stop_the_server() {
    let node = Node::start();
    for _ in 0..50_000 {
        let stream = std::net::TcpStream::connect(node.address).unwrap();
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    }
    node.assert_well();
    eventually("all are gone", || node.figures().connections_open == 0);
}

#[test]
fn running_out_of_open_files_is_survived_without_spinning() {
    // In a process of its own: the limit of open files is the whole process's.
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lifecycle::without_open_files", "--nocapture"])
        .env(ALONE, "yes")
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"));
}

/// Says that this process is the child of the test above.
const ALONE: &str = "FAZT_TEST_WITHOUT_OPEN_FILES";

/// Lowers the limit of open files, so it does nothing unless the test above started it.
#[test]
#[expect(clippy::disallowed_methods, reason = "the parent speaks through the environment")]
fn without_open_files() {
    if std::env::var_os(ALONE).is_none() {
        return;
    }
    let node = Node::with(|limits| limits.connections = 10_000);
    let mut stat = std::fs::File::open("/proc/self/stat").unwrap();
    let limit = rustix::process::Rlimit { current: Some(40), maximum: Some(40) };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    // Both ends are in this process, so that the last of these are never accepted.
    let held: Vec<_> =
        std::iter::from_fn(|| std::net::TcpStream::connect(node.address).ok()).collect();
    assert!(held.len() > 10);
    let before = cpu_ticks(&mut stat);
    std::thread::sleep(Duration::from_millis(1_500));
    let spent = cpu_ticks(&mut stat) - before;
    assert!(spent < 30, "{spent} ticks of 150");
    assert!(node.figures().connections_open < held.len() as u64, "nothing was exhausted");
    drop(held);
    let start = now();
    let mut client = node.connect();
    assert_eq!(client.get("/").text(), "ok");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

/// CPU time of this process in hundredths of a second.
fn cpu_ticks(file: &mut std::fs::File) -> u64 {
    let mut stat = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut stat).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
