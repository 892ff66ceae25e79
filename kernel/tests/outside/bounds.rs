//! Servers that say too much, too slowly or without end, and apps that ask too much at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::internet::{World, world, world_with};
use crate::server::{Asked, Server, Then, ok};

const THERE: &str = "93.184.215.14";

type Out<'o> = &'o mut dyn std::io::Write;

async fn with(
    settings: &[(&str, &str)],
    answer: impl Fn(&Asked, Out<'_>) -> std::io::Result<Then> + Send + Sync + 'static,
) -> (World, Server) {
    let world = world_with(settings, Vec::new()).await;
    let server = Server::new(answer);
    world.internet.host("api.test", THERE, 80, &server);
    (world, server)
}

#[tokio::test]
async fn an_answer_without_end_stops_at_the_bound() {
    let (world, _) = with(&[], |_, to| {
        to.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        let piece = vec![b'a'; 0x10000];
        loop {
            to.write_all(b"10000\r\n")?;
            to.write_all(&piece)?;
            to.write_all(b"\r\n")?;
        }
    })
    .await;
    assert_eq!(world.ask("http://api.test/", json!({})).await.code(), "NET_SIZE");
    let reply = world.ask("http://api.test/", json!({"maxBytes": 1000})).await;
    assert_eq!(reply.code(), "NET_SIZE");
}

#[tokio::test]
async fn a_bomb_stops_at_the_bound() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..64 {
        std::io::Write::write_all(&mut encoder, &zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let world = world().await;
    let server = Server::saying("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n", bomb);
    world.internet.host("api.test", THERE, 80, &server);
    assert_eq!(world.ask("http://api.test/", json!({})).await.code(), "NET_SIZE");
}

#[tokio::test]
async fn one_byte_a_second_ends_with_the_time() {
    let (world, _) = with(&[], |_, to| {
        to.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")?;
        loop {
            to.write_all(b"a")?;
            to.flush()?;
            std::thread::sleep(Duration::from_millis(50));
        }
    })
    .await;
    let reply = world.ask("http://api.test/", json!({"timeout": 400})).await;
    assert_eq!(reply.code(), "NET_TIMEOUT");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_on() {
    let (world, _) = with(&[("egress.idle_time", "200 ms")], |_, _| {
        std::thread::sleep(Duration::from_secs(20));
        Ok(Then::Closes)
    })
    .await;
    let reply = world.ask("http://api.test/", json!({"timeout": 15_000})).await;
    assert_eq!(reply.code(), "NET_TIMEOUT");
    assert!(reply.message().contains("says nothing"), "{}", reply.message());
    let (world, _) = with(&[("egress.idle_time", "200 ms")], |_, to| {
        to.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\na")?;
        to.flush()?;
        std::thread::sleep(Duration::from_secs(20));
        Ok(Then::Closes)
    })
    .await;
    let reply = world.ask("http://api.test/", json!({"timeout": 15_000})).await;
    assert_eq!(reply.code(), "NET_TIMEOUT");
    assert!(reply.message().contains("sent nothing more"), "{}", reply.message());
}

#[tokio::test]
async fn a_head_without_end_is_an_error() {
    let (world, _) = with(&[], |_, to| {
        to.write_all(b"HTTP/1.1 200 OK\r\n")?;
        for number in 0.. {
            to.write_all(format!("x-{number}: {}\r\n", "a".repeat(500)).as_bytes())?;
        }
        Ok(Then::Closes)
    })
    .await;
    assert_eq!(world.ask("http://api.test/", json!({})).await.code(), "NET_SIZE");
    let (world, _) = with(&[], |_, to| {
        for _ in 0..10_000 {
            to.write_all(b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n")?;
        }
        ok(to, "x")
    })
    .await;
    let reply = world.ask("http://api.test/", json!({"timeout": 5_000})).await;
    assert!(matches!(reply.code().as_str(), "200" | "NET_ERROR" | "NET_TIMEOUT"), "{reply:?}");
}

#[tokio::test]
async fn what_is_no_answer_is_an_error() {
    for answer in [
        "",
        "hello",
        "HTTP/1.1 999999 X\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "\0\0\0\0\0\0",
    ] {
        let (world, _) = with(&[], move |_, to| {
            to.write_all(answer.as_bytes())?;
            Ok(Then::Closes)
        })
        .await;
        let reply = world.ask("http://api.test/", json!({})).await;
        assert_eq!(reply.code(), "NET_ERROR", "{answer:?}");
    }
}

#[tokio::test]
async fn a_request_has_bounds_too() {
    let (world, server) = with(&[("egress.request_bytes", "1000")], |_, to| ok(to, "x")).await;
    for options in [
        json!({"method": "POST", "body": "a".repeat(1001)}),
        json!({"headers": {"x": "a".repeat(40_000)}}),
    ] {
        assert_eq!(world.ask("http://api.test/", options).await.code(), "NET_SIZE");
    }
    for options in [json!({"body": "x"}), json!({"headers": {"x": "a\r\nb: c"}})] {
        assert_eq!(world.ask("http://api.test/", options).await.code(), "NET_ERROR");
    }
    let long = format!("http://api.test/{}", "a".repeat(9_000));
    assert_eq!(world.ask(&long, json!({})).await.code(), "NET_ERROR");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn an_app_has_five_requests_running_and_the_others_wait() {
    let (running, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let (now, seen) = (Arc::clone(&running), Arc::clone(&most));
    let (world, server) = with(&[("egress.waiting_per_app", "60")], move |_, to| {
        let count = now.fetch_add(1, Ordering::SeqCst) + 1;
        seen.fetch_max(count, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(10));
        now.fetch_sub(1, Ordering::SeqCst);
        ok(to, "x")
    })
    .await;
    let all = (0..100).map(|_| world.ask("http://api.test/", json!({})));
    let replies = futures_util::future::join_all(all).await;
    let count = |code: &str| replies.iter().filter(|reply| reply.code() == code).count();
    assert_eq!((count("200"), count("NET_LIMIT")), (65, 35));
    assert_eq!(most.load(Ordering::SeqCst), 5);
    assert_eq!(server.asked().len(), 65);
    assert_eq!(
        world.ask("http://api.test/", json!({})).await.code(),
        "200",
        "places are free again"
    );
}

#[derive(Debug)]
struct Silent;

impl fazt_testkit::Resolve for Silent {
    fn resolve<'r>(&'r self, _: &'r str, _: u16) -> fazt_testkit::Resolving<'r> {
        Box::pin(std::future::pending())
    }
}

impl fazt_testkit::Dial for Silent {
    fn dial(&self, _: std::net::SocketAddr) -> fazt_testkit::Dialing<'_> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_resolver_or_a_network_that_says_nothing_ends_with_the_time() {
    let silent = Arc::new(Silent);
    let (resolver, dialer) = (Arc::clone(&silent) as _, silent as _);
    let outside = fazt_testkit::Outside { resolver, dialer, authorities: Vec::new() };
    let settings = [("egress.connect_time", "100 ms")];
    let node = fazt_testkit::TestKernel::within(vec![crate::asker::ASKER], &settings, outside);
    let node = node.await.unwrap();
    let app = node.app("blog").await.unwrap();
    let reply = crate::asker::ask(&node, app, "http://api.test/", json!({"timeout": 200})).await;
    assert_eq!(reply.code(), "NET_TIMEOUT");
    let late = json!({"timeout": 20_000});
    let reply = crate::asker::ask(&node, app, "http://93.184.215.14/", late).await;
    assert_eq!(reply.code(), "NET_ERROR");
    assert!(reply.message().contains("does not answer in time"), "{}", reply.message());
}
