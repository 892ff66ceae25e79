//! A way to a node that can be counted, blocked and broken.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// What stands in front of a node on a port of its own. It ends with the test.
pub(crate) struct Front {
    pub(crate) port: u16,
    passed: Arc<AtomicU64>,
}

/// What happens to the bytes of clients.
#[derive(Clone, Copy)]
pub(crate) enum Weather {
    /// Nobody's bytes pass any more after so many, together; nobody is told.
    StopsAfter(u64),
    /// So many connections break after so many bytes each.
    Breaks { connections: usize, bytes: u64 },
}

impl Front {
    pub(crate) fn of(node: u16, weather: Weather) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let passed = Arc::new(AtomicU64::new(0));
        let (count, broken) = (Arc::clone(&passed), Arc::new(AtomicUsize::new(0)));
        std::thread::Builder::new()
            .spawn(move || {
                for client in listener.incoming() {
                    let Ok(client) = client else { continue };
                    let (count, broken) = (Arc::clone(&count), Arc::clone(&broken));
                    let carry = move || carry(client, node, weather, &count, &broken);
                    drop(std::thread::Builder::new().spawn(carry));
                }
            })
            .unwrap();
        Self { port, passed }
    }

    /// Waits until so many bytes of clients have passed.
    pub(crate) fn waits_for(&self, bytes: u64) {
        for _ in 0..6_000 {
            if self.passed.load(Ordering::SeqCst) >= bytes {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("only {} bytes came", self.passed.load(Ordering::SeqCst));
    }
}

fn carry(
    mut client: TcpStream,
    node: u16,
    weather: Weather,
    count: &AtomicU64,
    broken: &AtomicUsize,
) {
    let Ok(mut there) = TcpStream::connect(("127.0.0.1", node)) else { return };
    let (mut back, mut answers) = (client.try_clone().unwrap(), there.try_clone().unwrap());
    let answering = std::thread::Builder::new().spawn(move || {
        drop(std::io::copy(&mut answers, &mut back));
        drop(back.shutdown(Shutdown::Both));
    });
    let (mut chunk, mut mine) = (vec![0; 64 * 1024], 0);
    while let Ok(read) = client.read(&mut chunk) {
        if read == 0 || there.write_all(&chunk[..read]).is_err() {
            break;
        }
        mine += read as u64;
        let all = count.fetch_add(read as u64, Ordering::SeqCst) + read as u64;
        match weather {
            Weather::StopsAfter(bytes) if all >= bytes => loop {
                std::thread::park();
            },
            Weather::Breaks { connections, bytes }
                if mine >= bytes && broken.fetch_add(1, Ordering::SeqCst) < connections =>
            {
                drop(client.shutdown(Shutdown::Both));
                break;
            }
            Weather::StopsAfter(_) | Weather::Breaks { .. } => {}
        }
    }
    drop(there.shutdown(Shutdown::Both));
    drop(answering.unwrap().join());
}
