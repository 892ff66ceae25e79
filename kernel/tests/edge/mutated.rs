//! Requests with random damage: never a panic, never a 5xx but 501 and 505.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use crate::client::{Client, NoReply};
use crate::node::Node;

const REQUESTS: usize = 100_000;

const SEEDS: [&[u8]; 8] = [
    b"GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n",
    b"GET /describe/%41?a=b HTTP/1.1\r\nhost: a.test:80\r\naccept: application/json\r\nconnection: close\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
    b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"GET http://a.test/ HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n",
    b"HEAD /full/10 HTTP/1.0\r\nhost: [::1]:8\r\n\r\n",
    b"GET /ws-echo HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x80abcd",
    b"POST /limit/3 HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
];

const PIECES: [&[u8]; 24] = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"%",
    b"%2f",
    b"%2e%2e",
    b"..",
    b"//",
    b"\xff",
    b"\x80",
    b"content-length: 0\r\n",
    b"content-length: 18446744073709551615\r\n",
    b"transfer-encoding: chunked\r\n",
    b"host: b\r\n",
    b"HTTP/1.1",
    b"HTTP/2.0",
    b"0\r\n\r\n",
    b"upgrade: websocket\r\n",
    b"#",
    b"?",
];

/// A small generator; the seed of a failure is in its message.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end.max(1)
    }
}

fn mutated(seed: u64) -> Vec<u8> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1);
    let mut bytes = SEEDS[random.below(SEEDS.len())].to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let piece = PIECES[random.below(PIECES.len())];
        match random.below(6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..at, piece.iter().copied())),
            2 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = u8::try_from(random.below(256)).unwrap();
                }
            }
            3 => {
                let end = (at + random.below(20)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + random.below(40)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, copy));
            }
            _ => {
                let end = (at + piece.len()).min(bytes.len());
                drop(bytes.splice(at..end, piece.iter().copied()));
            }
        }
    }
    bytes
}

#[test]
fn a_hundred_thousand_damaged_requests_break_nothing() {
    // In a process of its own: its memory is measured.
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "mutated::damaged_requests_alone", "--nocapture"])
        .env(ALONE, "yes")
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"));
}

/// Says that this process is the child of the test above.
const ALONE: &str = "FAZT_TEST_DAMAGED_REQUESTS";
/// Memory that all of the requests may take beyond what the first thousand took, in bytes.
const GROWTH_BYTES_MAX: u64 = 32 << 20;
const FIRST: usize = 1_000;

/// Memory that this process, client and server, uses now, in bytes (proc_pid_status(5)).
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Does nothing unless the test above started it.
#[test]
#[expect(clippy::disallowed_methods, reason = "the parent speaks through the environment")]
fn damaged_requests_alone() {
    if std::env::var_os(ALONE).is_none() {
        return;
    }
    let node = Node::with(|limits| {
        limits.connections_per_address = 10_000;
        limits.header_ms = 60_000;
    });
    let (next, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let before = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, SeqCst);
                    if number >= REQUESTS {
                        return;
                    }
                    if number == FIRST {
                        before.store(memory(), SeqCst);
                    }
                    let bytes = mutated(number as u64);
                    let mut client = Client::connect(node.address);
                    client.send(&bytes);
                    // What is incomplete ends here; the rest is answered before or after.
                    client.finish();
                    loop {
                        match client.head() {
                            Ok(reply) => {
                                answered.fetch_add(1, SeqCst);
                                let fine = reply.status < 500 || matches!(reply.status, 501 | 505);
                                assert!(
                                    fine,
                                    "{} for number {number}: {}",
                                    reply.status,
                                    String::from_utf8_lossy(&bytes).escape_debug()
                                );
                                if reply.status != 100 {
                                    break;
                                }
                            }
                            Err(NoReply::Silence) => panic!(
                                "number {number} hangs: {}",
                                String::from_utf8_lossy(&bytes).escape_debug()
                            ),
                            Err(NoReply::Closed | NoReply::Cut) => break,
                        }
                    }
                }
            });
        }
    });
    let answered = answered.load(SeqCst);
    assert!(answered > REQUESTS / 4, "only {answered} were answered: the damage is too great");
    let grown = memory().saturating_sub(before.load(SeqCst));
    assert!(grown < GROWTH_BYTES_MAX, "{grown} bytes more than after the first {FIRST}");
    assert_eq!(node.figures().panics, 0);
    node.assert_well();
}
