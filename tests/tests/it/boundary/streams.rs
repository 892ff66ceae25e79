//! Bodies and WebSockets through a loaded library, over a real socket.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fazt_kernel::{AdminRequest, Connection, Serving};
use fazt_sdk::http::BodySource;
use fazt_sdk::prelude::*;
use fazt_testkit::TestKernel;
use fazt_tests::fixtures::Library;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

use super::{disable, enable, get, node, until_text};

const PART: usize = 64 << 10;

/// Produces a body of many parts and counts how far it is ahead of whoever reads it.
struct Parts {
    left: usize,
}

static PRODUCED: AtomicUsize = AtomicUsize::new(0);

impl BodySource for Parts {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        self.left = self.left.checked_sub(1)?;
        PRODUCED.fetch_add(1, Ordering::Relaxed);
        Some(Ok(vec![7; PART].into()))
    }
}

fn request(method: Method, path: &str, body: Body) -> AdminRequest {
    let (path, query, headers) = (path.to_owned(), String::new(), Vec::new());
    AdminRequest { method, path, query, headers, body }
}

#[tokio::test]
async fn a_body_is_streamed_through_a_library_both_ways_one_part_at_a_time() {
    let kernel = node(&[Library::Counts, Library::Report]).await;
    let parts = 4_000;
    let body = Body::source(Parts { left: parts });
    let request = request(Method::Post, "/_report/mirror", body);
    let mut answer = kernel.kernel().request(Connection::Loopback, "blog.localhost", request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(PRODUCED.load(Ordering::Relaxed), 0, "nothing is read before it is asked for");
    let (mut received, mut ahead) = (0, 0);
    while let Some(part) = answer.body.next().await {
        let part = part.unwrap();
        assert_eq!((part.len(), part[0]), (PART, 7));
        received += 1;
        ahead = ahead.max(PRODUCED.load(Ordering::Relaxed) - received);
    }
    assert_eq!((received, ahead), (parts, 0), "250 MiB, never more than the part at hand");
}

#[tokio::test]
async fn a_stream_calls_another_library_for_each_of_its_parts() {
    let kernel = node(&[Library::Counts, Library::Report]).await;
    let request = request(Method::Get, "/_report/stream/100", Body::empty());
    let mut answer = kernel.kernel().request(Connection::Loopback, "blog.localhost", request).await;
    let mut numbers = Vec::new();
    while let Some(part) = answer.body.next().await {
        numbers.push(f64::from_le_bytes(part.unwrap()[..8].try_into().unwrap()));
    }
    let expected: Vec<f64> = (0..100).rev().map(f64::from).collect();
    assert_eq!(numbers, expected);
}

async fn served(libraries: &[Library]) -> (TestKernel, Serving) {
    let kernel = node(libraries).await;
    kernel.kernel().set_setting("server.host", "127.0.0.1").await.unwrap();
    kernel.kernel().set_setting("server.port", "0").await.unwrap();
    let serving = kernel.kernel().serve().unwrap();
    (kernel, serving)
}

async fn connect(serving: &Serving) -> TcpStream {
    TcpStream::connect(("127.0.0.1", serving.port())).await.unwrap()
}

/// Sends a request and reads until the node closes.
async fn exchange(serving: &Serving, head: &str) -> String {
    let mut stream = connect(serving).await;
    let request = format!("{head} HTTP/1.1\r\nhost: blog.localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A broken-off body resets the connection.
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8_lossy(&answer).into_owned()
}

async fn open(serving: &Serving, path: &str) -> WebSocketStream<TcpStream> {
    let stream = connect(serving).await;
    let url = format!("ws://blog.localhost{path}");
    tokio_tungstenite::client_async(url, stream).await.unwrap().0
}

#[tokio::test]
async fn a_websocket_is_served_by_a_library_as_whole_messages() {
    let (_kernel, serving) = served(&[Library::Counts, Library::Report]).await;
    let mut socket = open(&serving, "/_report/socket").await;
    for count in 1..=3 {
        socket.send(Message::text("hello")).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        assert_eq!(answer, Message::text(format!("hello {count}")));
    }
    let bytes: Vec<u8> = (0..200_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    socket.send(Message::binary(bytes.clone())).await.unwrap();
    let reversed: Vec<u8> = bytes.into_iter().rev().collect();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::binary(reversed));
    socket.send(Message::text("bye")).await.unwrap();
    let closed = socket.next().await.unwrap().unwrap();
    let frame = CloseFrame { code: 4000.into(), reason: "as you wish".into() };
    assert_eq!(closed, Message::Close(Some(frame)));
}

#[tokio::test]
async fn a_websocket_whose_handler_panics_is_closed_and_the_next_one_is_served() {
    let (kernel, serving) = served(&[Library::Unruly]).await;
    let mut socket = open(&serving, "/_unruly/socket").await;
    socket.send(Message::text("panic")).await.unwrap();
    let closed = socket.next().await.unwrap().unwrap();
    assert!(matches!(closed, Message::Close(Some(frame)) if u16::from(frame.code) == 1011));
    until_text(&kernel, "/_unruly/live", "0").await;
    let mut socket = open(&serving, "/_unruly/socket").await;
    socket.send(Message::text("stay")).await.unwrap();
    until_text(&kernel, "/_unruly/live", "1").await;
}

#[tokio::test]
async fn websockets_of_a_plugin_that_stops_are_told_to_come_back() {
    let (kernel, serving) = served(&[Library::Unruly]).await;
    let mut socket = open(&serving, "/_unruly/socket").await;
    socket.send(Message::text("stay")).await.unwrap();
    until_text(&kernel, "/_unruly/live", "1").await;
    let before = tokio::time::Instant::now();
    disable(&kernel, "unruly", false).await.unwrap();
    assert!(before.elapsed() < Duration::from_secs(5), "they do not use up the time to drain");
    let closed = socket.next().await.unwrap().unwrap();
    assert!(matches!(closed, Message::Close(Some(frame)) if u16::from(frame.code) == 1012));
    enable(&kernel, "unruly").await.unwrap();
    let mut socket = open(&serving, "/_unruly/socket").await;
    socket.send(Message::text("stay")).await.unwrap();
    until_text(&kernel, "/_unruly/live", "1").await;
}

#[tokio::test]
async fn a_stream_of_a_plugin_that_stops_is_cut_when_its_time_is_over() {
    let kernel = node(&[Library::Unruly]).await;
    let request = request(Method::Get, "/_unruly/stream/hang", Body::empty());
    let mut answer = kernel.kernel().request(Connection::Loopback, "blog.localhost", request).await;
    assert_eq!(answer.body.next().await.unwrap().unwrap(), "one part");
    let both = async { tokio::join!(answer.body.next(), disable(&kernel, "unruly", false)) };
    let ended = tokio::time::timeout(Duration::from_secs(60), both).await;
    let (rest, stopped) = ended.expect("the stream was never cut");
    stopped.unwrap();
    assert_eq!(rest.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(answer.body.next().await.is_none_or(|part| part.is_err()));
}

#[tokio::test]
async fn a_handler_that_hangs_is_given_up_and_dropped() {
    let kernel = node(&[Library::Unruly]).await;
    kernel.kernel().set_setting("server.host", "127.0.0.1").await.unwrap();
    kernel.kernel().set_setting("server.port", "0").await.unwrap();
    kernel.kernel().set_setting("edge.request_ms", "300 ms").await.unwrap();
    let serving = kernel.kernel().serve().unwrap();
    let answer = exchange(&serving, "GET /_unruly/do/hang").await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    until_text(&kernel, "/_unruly/live", "0").await;
    assert_eq!(get(&kernel, "/_unruly/do/well").await.0, 200);
}

#[tokio::test]
async fn a_response_that_http_does_not_allow_is_a_500_and_the_next_request_is_answered() {
    let (_kernel, serving) = served(&[Library::Unruly]).await;
    for how in ["name", "value", "status", "switch"] {
        let answer = exchange(&serving, &format!("GET /_unruly/do/{how}")).await;
        assert!(answer.starts_with("HTTP/1.1 500 "), "{how}: {answer}");
        assert!(!answer.contains("set-cookie"), "{how}: {answer}");
        let answer = exchange(&serving, "GET /_unruly/do/well").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "after {how}: {answer}");
    }
    // How long the body is, is the node's to say.
    let answer = exchange(&serving, "GET /_unruly/do/length").await;
    assert!(answer.contains("content-length: 1\r\n") && !answer.contains("99"), "{answer}");
}

#[tokio::test]
async fn a_stream_that_fails_midway_never_looks_whole_to_a_client() {
    let (_kernel, serving) = served(&[Library::Unruly]).await;
    for how in ["error", "panic"] {
        let answer = exchange(&serving, &format!("GET /_unruly/stream/{how}")).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("one part"), "{answer}");
        assert!(!answer.ends_with("0\r\n\r\n"), "{how}: the last chunk was sent: {answer}");
    }
    let whole = exchange(&serving, "GET /_unruly/stream/well").await;
    assert!(whole.ends_with("0\r\n\r\n"), "{whole}");
}

#[tokio::test]
async fn an_upload_reaches_a_library_part_by_part_over_a_socket() {
    let (_kernel, serving) = served(&[Library::Counts, Library::Report]).await;
    let mut stream = connect(&serving).await;
    let length = 32 << 20;
    let head = format!(
        "POST /_report/length HTTP/1.1\r\nhost: blog.localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let part = vec![1; PART];
    for _ in 0..length / PART {
        stream.write_all(&part).await.unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with(&length.to_string()), "{answer}");
}
