//! WebSockets: messages both ways, and every rule that a client can break.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use crate::client::{Client, eventually};
use crate::node::Node;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

fn open(node: &Node, path: &str) -> Client {
    let mut client = node.connect();
    client.send(format!(
        "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ));
    let reply = client.reply().unwrap();
    assert_eq!(reply.status, 101);
    assert_eq!(reply.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    client
}

/// A frame of a client: always masked (RFC 6455 §5.3).
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..65_536 => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn whole(opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(0x80 | opcode, payload.as_ref())
}

/// The next frame of the server: its opcode and payload.
fn next(client: &mut Client) -> (u8, Vec<u8>) {
    let head = client.exactly(2).unwrap();
    assert_eq!(head[1] & 0x80, 0, "a server does not mask");
    let len = match head[1] {
        126 => {
            let len = client.exactly(2).unwrap();
            usize::from(u16::from_be_bytes([len[0], len[1]]))
        }
        127 => {
            let len: [u8; 8] = client.exactly(8).unwrap().try_into().unwrap();
            usize::try_from(u64::from_be_bytes(len)).unwrap()
        }
        len => usize::from(len),
    };
    (head[0] & 15, client.exactly(len).unwrap())
}

/// The code and the reason of the next close frame, past everything else.
fn close(client: &mut Client) -> (u16, String) {
    loop {
        let (opcode, payload) = next(client);
        if opcode == CLOSE {
            let code = u16::from_be_bytes([payload[0], payload[1]]);
            return (code, String::from_utf8(payload[2..].to_vec()).unwrap());
        }
    }
}

#[test]
fn messages_go_both_ways() {
    let node = Node::start();
    let mut client = open(&node, "/ws-echo");
    client.send(whole(TEXT, "h\u{e9}llo"));
    assert_eq!(next(&mut client), (TEXT, "h\u{e9}llo".into()));
    client.send(whole(BINARY, vec![7; 100_000]));
    assert_eq!(next(&mut client), (BINARY, vec![7; 100_000]));
    // In fragments with a ping in between (RFC 6455 §5.4).
    client.send(frame(TEXT, b"a"));
    client.send(whole(PING, "now"));
    client.send(frame(0x80, b"b"));
    assert_eq!(next(&mut client), (PONG, b"now".into()));
    assert_eq!(next(&mut client), (TEXT, b"ab".into()));
    client.send(whole(CLOSE, 1000_u16.to_be_bytes()));
    assert_eq!(close(&mut client), (1000, String::new()));
    assert!(client.closed_after(Duration::from_secs(3)).is_some());
    eventually("the connection is gone", || node.figures().connections_open == 0);
    node.assert_well();
}

#[test]
fn bytes_sent_right_after_the_handshake_are_not_lost() {
    let node = Node::start();
    let mut client = node.connect();
    let mut bytes = b"GET /ws-echo HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".to_vec();
    bytes.extend(whole(TEXT, "early"));
    client.send(bytes);
    assert_eq!(client.reply().unwrap().status, 101);
    assert_eq!(next(&mut client), (TEXT, b"early".into()));
}

#[test]
fn many_messages_in_flight_arrive_in_order() {
    let node = Node::start();
    let mut client = open(&node, "/ws-echo");
    for number in 0..1_000_u32 {
        client.send(whole(BINARY, number.to_be_bytes()));
    }
    for number in 0..1_000_u32 {
        assert_eq!(next(&mut client), (BINARY, number.to_be_bytes().into()));
    }
}

#[test]
fn a_broken_handshake_is_refused() {
    let node = Node::start();
    for (head, status) in [
        (
            "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 8\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
            426,
        ),
        (
            "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: short",
            400,
        ),
        ("connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13", 400),
        (
            "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
            400,
        ),
        ("x: not a handshake at all", 426),
    ] {
        let mut client = node.connect();
        client.send(format!("GET /ws-echo HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n"));
        let reply = client.reply().unwrap();
        assert_eq!(reply.status, status, "{head}");
        if status == 426 {
            assert_eq!(reply.header("sec-websocket-version"), Some("13"));
        }
    }
    let mut client = node.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    assert_eq!(client.reply().unwrap().text(), "ok", "a route may answer a handshake in plain");
}

#[test]
fn a_message_over_its_limit_is_1009() {
    let node = Node::with(|limits| limits.socket_message_bytes = 1_000);
    for message in [
        whole(BINARY, vec![0; 1_001]),
        [frame(BINARY, &[0; 600]), frame(0x80, &[0; 600])].concat(),
        // Only announced: refused before a byte of it was kept.
        vec![0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4],
    ] {
        let mut client = open(&node, "/ws-echo");
        client.send(message);
        assert_eq!(close(&mut client).0, 1009);
        assert!(client.closed_after(Duration::from_secs(6)).is_some());
    }
    let mut client = open(&node, "/ws-echo");
    client.send(whole(BINARY, vec![0; 1_000]));
    assert_eq!(next(&mut client).1.len(), 1_000);
}

#[test]
fn text_that_is_not_utf_8_is_1007() {
    let node = Node::start();
    let mut client = open(&node, "/ws-echo");
    client.send(whole(TEXT, [b'a', 0xff]));
    assert_eq!(close(&mut client).0, 1007);
}

#[test]
fn frames_that_break_the_protocol_are_1002() {
    let node = Node::start();
    for bytes in [
        vec![0x81, 1, b'a'],       // not masked
        whole(0x40 | TEXT, "a"),   // a reserved bit
        whole(3, "a"),             // a reserved opcode
        whole(PING, vec![0; 126]), // a long control frame
        whole(0, "a"),             // a continuation of nothing
    ] {
        let mut client = open(&node, "/ws-echo");
        client.send(bytes);
        assert_eq!(close(&mut client).0, 1002);
    }
    node.assert_well();
}

#[test]
fn a_client_that_takes_nothing_is_closed_with_1013() {
    let node = Node::start();
    let mut client = open(&node, "/ws-flood");
    std::thread::sleep(Duration::from_millis(500));
    // It reads again: what was under way, then the reason.
    assert_eq!(close(&mut client), (1013, "too slow".into()));
    eventually("the connection is gone", || node.figures().connections_open == 0);
}

#[test]
fn a_plugin_closes_with_its_own_code() {
    let node = Node::start();
    assert_eq!(close(&mut open(&node, "/ws-close")), (4001, "bye".into()));
}

#[test]
fn a_plugin_that_fails_is_1011() {
    let node = Node::start();
    assert_eq!(close(&mut open(&node, "/ws-fail")), (1011, String::new()));
    eventually("it is reported", || node.seen.reports.lock().unwrap().len() == 1);
    node.connect().get("/");
}

#[test]
fn a_peer_that_answers_no_ping_is_dead() {
    let node = Node::with(|limits| limits.socket_ping_ms = 400);
    let mut silent = open(&node, "/ws-idle");
    let mut alive = open(&node, "/ws-idle");
    eventually("both run", || node.seen.running.load(SeqCst) == 2);
    for _ in 0..5 {
        assert_eq!(next(&mut alive).0, PING);
        alive.send(whole(PONG, ""));
    }
    eventually("the silent one is dropped", || node.seen.running.load(SeqCst) == 1);
    assert!(silent.closed_after(Duration::from_secs(5)).is_some());
}

#[test]
fn a_client_that_leaves_ends_its_handler() {
    let node = Node::start();
    let client = open(&node, "/ws-idle");
    eventually("it runs", || node.seen.running.load(SeqCst) == 1);
    drop(client);
    eventually("it is dropped", || node.seen.running.load(SeqCst) == 0);
}

#[test]
fn draining_closes_with_1012_and_a_hint() {
    let mut node = Node::start();
    let mut client = open(&node, "/ws-echo");
    client.send(whole(TEXT, "a"));
    assert_eq!(next(&mut client).1, b"a");
    node.begin_stop();
    let (code, reason) = close(&mut client);
    assert_eq!(code, 1012);
    let hint: u32 = reason.strip_prefix("restart; retry_ms=").unwrap().parse().unwrap();
    assert!(hint < 5_000);
    client.send(whole(CLOSE, 1012_u16.to_be_bytes()));
    assert_eq!(node.stopped().cut, 0);
}

#[test]
fn a_fast_client_is_slowed_down_by_a_plugin_that_takes_nothing() {
    let node = Node::start();
    let mut client = open(&node, "/ws-idle");
    client.stream.patience(Duration::from_millis(500));
    let message = whole(BINARY, vec![0; 64 << 10]);
    let mut sent = 0_usize;
    while sent < 64 << 20 && client.send(&message) {
        sent += message.len();
    }
    assert!(sent < 32 << 20, "{sent} bytes were taken though the plugin reads nothing");
}
