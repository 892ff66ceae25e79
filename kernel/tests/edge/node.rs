//! An edge on a port of its own, with a gateway that does what the path says.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use fazt_abi::http::{RawPrepared, RawResponse, RawResponseBody, RawResponseHead};
use fazt_kernel::clock::SystemClock;
use fazt_kernel::edge::failure::{self, Shape};
use fazt_kernel::edge::{
    BlobSource, Drained, Edge, EdgeRequest, Figures, Gateway, Limits, Listener, Options,
    PreparedHead,
};
use fazt_sdk::call::RequestId;
use fazt_sdk::http::{BodySource, Request, Response};
use fazt_sdk::socket::{Message, Socket, SocketHandler};
use fazt_sdk::{Error, Result};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::Client;

/// What the gateway saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) running: AtomicUsize,
    pub(crate) dropped: AtomicUsize,
    /// Bytes that a stream or a blob has handed out.
    pub(crate) produced: AtomicUsize,
    /// Bytes of request bodies taken.
    pub(crate) consumed: AtomicUsize,
    pub(crate) reports: Mutex<Vec<String>>,
}

pub(crate) struct Probe {
    pub(crate) seen: Arc<Seen>,
    prepared: RawPrepared,
    page: Bytes,
}

/// Counts itself out when the future that holds it is dropped.
struct Running(Arc<Seen>);

impl Running {
    fn new(seen: &Arc<Seen>) -> Self {
        seen.running.fetch_add(1, SeqCst);
        Self(Arc::clone(seen))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
        self.0.dropped.fetch_add(1, SeqCst);
    }
}

pub(crate) fn encoded(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for (name, value) in fields {
        encoded.extend_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
        encoded.extend_from_slice(&u32::try_from(value.len()).unwrap().to_le_bytes());
        encoded.extend_from_slice(name.as_bytes());
        encoded.extend_from_slice(value.as_bytes());
    }
    encoded
}

impl Probe {
    async fn answer(&self, request: EdgeRequest) -> Result<Response> {
        let EdgeRequest {
            raw, body_limit, patience, local, peer_uid, expects_socket, method, ..
        } = request;
        let mut request = Request::from_raw(raw);
        let path = request.path().to_owned();
        let (name, argument) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        let number = argument.parse::<u64>().unwrap_or(0);
        Ok(match name {
            "echo" => Response::new(200).body(request.body().collect(1 << 30).await?),
            "limit" => {
                body_limit.set(number)?;
                Response::new(200).body(request.body().collect(1 << 30).await?)
            }
            "limit-only" => {
                body_limit.set(number)?;
                Response::text(format!("{:?}", body_limit.announced()))
            }
            "count" => {
                body_limit.set(u64::MAX)?;
                let mut total = 0;
                while let Some(chunk) = request.body().next().await {
                    total += chunk?.len();
                    self.seen.consumed.store(total, SeqCst);
                    tokio::time::sleep(Duration::from_millis(number)).await;
                }
                Response::text(total.to_string())
            }
            "describe" => Response::json(&serde_json::json!({
                "method": method.as_str(), "raw_method": request.method(),
                "host": request.host(), "port": request.port(), "path": request.path(),
                "raw_path": request.raw_path(), "query": request.query(),
                "client": request.client().to_string(), "secure": request.is_secure(),
                "local": local, "uid": peer_uid, "expects_socket": expects_socket,
                "header": request.header_str("x-test"),
            }))?,
            "hang" => {
                let _running = Running::new(&self.seen);
                std::future::pending::<Response>().await
            }
            "sleep" => {
                let _running = Running::new(&self.seen);
                tokio::time::sleep(Duration::from_millis(number)).await;
                Response::text("slept")
            }
            "unhurried" => {
                patience.ask();
                let _running = Running::new(&self.seen);
                tokio::time::sleep(Duration::from_millis(number)).await;
                Response::text("at last")
            }
            "panic" => panic!("on purpose"),
            "panic-later" => {
                tokio::task::yield_now().await;
                panic!("on purpose")
            }
            "full" => Response::new(200).body(vec![b'x'; usize::try_from(number).unwrap()]),
            "blob" => Response::new(200).blob([7; 32], 5, number),
            "no-blob" => Response::new(200).blob([9; 32], 0, 10),
            "short-blob" => Response::new(200).blob([8; 32], 0, 1 << 20),
            "stream" => Response::new(200).stream(Numbers {
                left: usize::try_from(number).unwrap(),
                seen: Arc::clone(&self.seen),
                fails: false,
            }),
            "stream-fail" => Response::new(200).stream(Numbers {
                left: usize::try_from(number).unwrap(),
                seen: Arc::clone(&self.seen),
                fails: true,
            }),
            "bad-value" => Response::new(200).header("x-a", "b\r\nset-cookie: c=d").body("no"),
            "bad-name" => Response::new(200).header("x a", "b").body("no"),
            "bad-status" => Response::new(100).body("no"),
            "own-framing" => Response::new(200)
                .header("content-length", "999")
                .header("transfer-encoding", "chunked")
                .header("connection", "close")
                .header("keep-alive", "timeout=1")
                .header("x-kept", "yes")
                .body("four"),
            "status" => Response::new(u16::try_from(number).unwrap())
                .header("etag", "\"e\"")
                .header("content-length", "4")
                .body("four"),
            "nothing" => Response::new(200),
            "ws-echo" => Response::websocket(EchoSocket),
            "ws-flood" => Response::websocket(FloodSocket),
            "ws-close" => Response::websocket(ClosingSocket),
            "ws-idle" => Response::websocket(IdleSocket(Arc::clone(&self.seen))),
            "ws-fail" => Response::websocket(FailingSocket),
            "" => Response::text("ok"),
            _ => return Err(Error::not_found("there is nothing here")),
        })
    }
}

impl Gateway for Probe {
    async fn handle(&self, request: EdgeRequest) -> RawResponse {
        let id = request.request_id;
        let path = {
            let head = &request.raw.head;
            let (start, len) = (head.path.start as usize, head.path.len as usize);
            String::from_utf8_lossy(&head.text[start..start + len]).into_owned()
        };
        if path == "/prepared" {
            return RawResponse {
                status: 200,
                head: RawResponseHead::Prepared(self.prepared.clone()),
                body: RawResponseBody::Full(self.page.clone().into()),
            };
        }
        match self.answer(request).await {
            Ok(response) => response.into_raw(),
            Err(error) => failure::response(&error, Shape::of(&path, std::iter::empty()), id),
        }
    }

    fn report(&self, _: RequestId, error: &Error) {
        self.seen.reports.lock().unwrap().push(error.to_string());
    }
}

/// Produces `left` bytes in chunks of 16 KiB.
struct Numbers {
    left: usize,
    seen: Arc<Seen>,
    fails: bool,
}

impl BodySource for Numbers {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        if self.left == 0 {
            return self.fails.then(|| Err(Error::internal("the source broke")));
        }
        let len = self.left.min(16 << 10);
        self.left -= len;
        self.seen.produced.fetch_add(len, SeqCst);
        Some(Ok(Bytes::from(vec![b's'; len])))
    }
}

pub(crate) struct Blobs(Arc<Seen>);

/// The byte of every blob at an offset.
pub(crate) fn blob_byte(offset: u64) -> u8 {
    u8::try_from(offset % 251).unwrap()
}

impl BlobSource for Blobs {
    async fn chunk(&self, hash: &[u8; 32], offset: u64, len_max: u32) -> Result<Bytes> {
        if hash[0] == 9 || (hash[0] == 8 && offset > 0) {
            return Err(Error::not_found("there is no such blob"));
        }
        self.0.produced.fetch_add(len_max as usize, SeqCst);
        Ok((offset..offset + u64::from(len_max)).map(blob_byte).collect())
    }
}

struct EchoSocket;

impl SocketHandler for EchoSocket {
    async fn run(&self, socket: Socket) -> Result<()> {
        while let Some(message) = socket.receive().await? {
            socket.send(message).await?;
        }
        Ok(())
    }
}

/// Sends without waiting, far more than any client takes.
struct FloodSocket;

impl SocketHandler for FloodSocket {
    async fn run(&self, socket: Socket) -> Result<()> {
        let mut sending = Vec::new();
        loop {
            let mut send = Box::pin(socket.send(Message::Binary(Bytes::from(vec![0; 64 << 10]))));
            let first = poll_fn(|context| Poll::Ready(send.as_mut().poll(context))).await;
            if let Poll::Ready(result) = first {
                result?;
            }
            sending.push(send);
            tokio::task::yield_now().await;
        }
    }
}

struct ClosingSocket;

impl SocketHandler for ClosingSocket {
    async fn run(&self, socket: Socket) -> Result<()> {
        assert!(socket.close(1005, "").await.is_err());
        assert!(socket.close(4001, &"x".repeat(124)).await.is_err());
        socket.close(4001, "bye").await?;
        assert!(socket.send(Message::Text("late".into())).await.is_err());
        Ok(())
    }
}

/// Takes nothing for ever.
struct IdleSocket(Arc<Seen>);

impl SocketHandler for IdleSocket {
    async fn run(&self, socket: Socket) -> Result<()> {
        let _running = Running::new(&self.0);
        let _socket = socket;
        std::future::pending().await
    }
}

struct FailingSocket;

impl SocketHandler for FailingSocket {
    async fn run(&self, _: Socket) -> Result<()> {
        panic!("on purpose")
    }
}

/// A running edge.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    edge: Arc<Edge<Probe>>,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<Drained>>,
    runtime: tokio::runtime::Runtime,
}

impl Node {
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let mut options = Options::default();
        change(&mut options.limits);
        Self::with_options(options, None)
    }

    pub(crate) fn with_options(options: Options, unix: Option<&Path>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let _entered = runtime.enter();
        let mut listeners = vec![Listener::tcp(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap()];
        let address = listeners[0].local_address().unwrap();
        listeners.extend(unix.map(|path| Listener::unix(path).unwrap()));
        let seen = Arc::new(Seen::default());
        let prepared = encoded(&[
            ("etag", "\"p\""),
            ("x-twice", "1"),
            ("x-twice", "2"),
            ("content-length", "9"),
        ]);
        let probe = Probe {
            seen: Arc::clone(&seen),
            prepared: PreparedHead::from_fields(&prepared).unwrap(),
            page: Bytes::from_static(b"prepared page"),
        };
        let blobs = Blobs(Arc::clone(&seen));
        let clock = Arc::new(SystemClock::new());
        let edge = Arc::new(Edge::new(Arc::new(probe), Arc::new(blobs), options, clock));
        let (stop, stopped) = oneshot::channel();
        let served = runtime.spawn({
            let edge = Arc::clone(&edge);
            async move { edge.serve(listeners, async { drop(stopped.await) }).await }
        });
        drop(_entered);
        Self { address, seen, edge, stop: Some(stop), served: Some(served), runtime }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    pub(crate) fn figures(&self) -> Figures {
        self.edge.figures()
    }

    /// Tells it to stop and comes back at once.
    pub(crate) fn begin_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has stopped.
    pub(crate) fn stopped(&mut self) -> Drained {
        self.begin_stop();
        let served = self.served.take().unwrap();
        self.runtime.block_on(served).unwrap()
    }

    /// A clean request on a new connection is answered, and nothing panicked.
    pub(crate) fn assert_well(&self) {
        assert_eq!(self.connect().get("/").text(), "ok");
        assert_eq!(self.figures().panics, 0);
    }
}

/// The client of a described request.
pub(crate) fn client_of(description: &str) -> IpAddr {
    let value: serde_json::Value = serde_json::from_str(description).unwrap();
    value["client"].as_str().unwrap().parse::<IpAddr>().unwrap_or(Ipv6Addr::UNSPECIFIED.into())
}
