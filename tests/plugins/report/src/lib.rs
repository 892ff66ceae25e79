//! Reports tallies that another library keeps, as text, as a stream and over a WebSocket.

mod rows;

use counts_api::{Tallied, Tally as _, TallyApi};
use fazt_sdk::http::BodySource;
use fazt_sdk::prelude::*;
use fazt_sdk::socket::{Message, Socket, SocketHandler};

type Counts = Service<TallyApi>;

#[derive(Default)]
pub struct Report;

impl Plugin for Report {
    fn manifest(&self) -> Manifest {
        Manifest::new("report", "0.1.0")
            .about("Reports tallies")
            .requires::<TallyApi>()
            .route(Route::app(Method::Get, "/_report/add/{name}").public())
            .route(Route::app(Method::Get, "/_report/kinds").public())
            .route(Route::app(Method::Get, "/_report/rows").public())
            .route(Route::app(Method::Get, "/_report/page").public())
            .route(Route::app(Method::Get, "/_report/wait/{ms}").public())
            .route(Route::app(Method::Get, "/_report/stream/{parts}").public())
            .route(Route::app(Method::Post, "/_report/length").public().body_max(1 << 30))
            .route(Route::app(Method::Post, "/_report/mirror").public().body_max(1 << 30))
            .route(Route::app(Method::Get, "/_report/socket").public())
    }

    fn start(&self, host: Host) -> Result<Started> {
        let counts = host.service::<TallyApi>()?;
        Ok(Started::new()
            .handle("/_report/add/{name}", Add(counts.clone()))
            .handle("/_report/kinds", Kinds(counts.clone()))
            .handle("/_report/rows", rows::Rows(host.cartridge()))
            .handle("/_report/page", Page::new(&host)?)
            .handle("/_report/wait/{ms}", Wait(counts.clone()))
            .handle("/_report/stream/{parts}", Stream(counts.clone()))
            .handle("/_report/length", Length)
            .handle("/_report/mirror", Mirror)
            .handle("/_report/socket", Talk(counts)))
    }
}

/// One more for a name.
struct Add(Counts);

impl Handler for Add {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        let count = self.0.add(call, request.capture(0), 1).await?;
        Ok(Response::text(count.to_string()))
    }
}

/// Arguments and results of every kind, there and back; the first that changed is named.
struct Kinds(Counts);

fn same<T: PartialEq + std::fmt::Debug>(what: &str, one: T, other: T) -> Result<()> {
    if one == other {
        return Ok(());
    }
    Err(Error::internal(format!("{what}: {one:?} is not {other:?}")))
}

impl Handler for Kinds {
    async fn call(&self, call: &Call, _: Request) -> Result<Response> {
        let counts = &self.0;
        same("f64, u32, bool", counts.scale(call, 0.1, u32::MAX, true).await?, -(0.1 * f64::from(u32::MAX)))?;
        let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let reversed = counts.reverse(call, &content, None).await?;
        same("a list of bytes", reversed.iter().rev().eq(content.iter()), true)?;
        same("no bytes", counts.reverse(call, &[], Some(3)).await?.len(), 0)?;
        same("an option", &counts.reverse(call, b"abc", Some(2)).await?[..], b"ba")?;
        let pattern = Tallied {
            name: "ignored \u{1f980}\0".to_owned(),
            count: u64::MAX,
            last: Some(i64::MIN),
            tags: vec![String::new(), "a\nb".to_owned()],
        };
        let names = ["one".to_owned(), String::new()];
        let stamped = counts.stamp(call, &names, &pattern).await?;
        let expected: Vec<_> =
            names.iter().map(|name| Tallied { name: name.clone(), ..pattern.clone() }).collect();
        same("a list of records", stamped, expected)?;
        same("no records", counts.stamp(call, &[], &Tallied::default()).await?, vec![])?;
        same("the app of the call", counts.app(call).await?, call.app())?;
        same("a negative number", counts.add(call, "kinds", 5).await?, 5)?;
        same("a negative number", counts.add(call, "kinds", -2).await?, 3)?;
        let refused = counts.add(call, "kinds", -4).await.err().map(|error| error.kind());
        same("an error", refused, Some(ErrorKind::Invalid))?;
        same("what an error rolled back", counts.add(call, "kinds", 0).await?, 3)?;
        let error = counts.refuse(call, "so").await.err();
        let error = error.ok_or_else(|| Error::internal("it was not refused"))?;
        same("a kind", error.kind(), ErrorKind::Conflict)?;
        same("a code", error.code(), "NEVER")?;
        same("a message", error.message(), "never: so")?;
        same("details", error.details(), Some(&fazt_sdk::json!({ "why": "so" })))?;
        Ok(Response::text("all the same"))
    }
}

/// A page of 10 KiB that is always there, to measure what it costs to reach it.
struct Page(fazt_sdk::http::PreparedHead, Bytes);

impl Page {
    fn new(host: &Host) -> Result<Self> {
        let head = host.prepare([
            ("content-type", "text/html; charset=utf-8"),
            ("etag", "\"2cf24dba5fb0a30e26e83b2ac5b9e29e\""),
            ("cache-control", "public, max-age=60"),
            ("x-content-type-options", "nosniff"),
        ])?;
        Ok(Self(head, Bytes::from(vec![b'x'; 10 << 10])))
    }
}

impl Handler for Page {
    async fn call(&self, _: &Call, _: Request) -> Result<Response> {
        Ok(Response::prepared(200, &self.0).body(self.1.clone()))
    }
}

/// Waits in the other library.
struct Wait(Counts);

impl Handler for Wait {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        let ms = request.capture(0).parse().map_err(|_| Error::invalid("no number"))?;
        Ok(Response::text(self.0.wait(call, ms).await?.to_string()))
    }
}

/// Streams parts of 64 KiB, each marked with a tally of the other library.
struct Stream(Counts);

struct Parts {
    counts: Counts,
    call: Call,
    left: u32,
}

impl Handler for Stream {
    async fn call(&self, call: &Call, request: Request) -> Result<Response> {
        let left = request.capture(0).parse().map_err(|_| Error::invalid("no number"))?;
        let source = Parts { counts: self.0.clone(), call: *call, left };
        Ok(Response::new(200).stream(source))
    }
}

impl BodySource for Parts {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        self.left = self.left.checked_sub(1)?;
        let mut part = vec![0; 64 << 10];
        match self.counts.scale(&self.call, f64::from(self.left), 1, false).await {
            Ok(number) => part[..8].copy_from_slice(&number.to_le_bytes()),
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(part.into()))
    }
}

/// Reads a body part by part and says how long it was.
struct Length;

impl Handler for Length {
    async fn call(&self, _: &Call, mut request: Request) -> Result<Response> {
        let mut length = 0;
        while let Some(part) = request.body().next().await {
            length += part?.len();
        }
        Ok(Response::text(length.to_string()))
    }
}

/// Streams a body back while it arrives.
struct Mirror;

struct Reflected(Body);

impl Handler for Mirror {
    async fn call(&self, _: &Call, request: Request) -> Result<Response> {
        Ok(Response::new(200).stream(Reflected(request.into_body())))
    }
}

impl BodySource for Reflected {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        self.0.next().await
    }
}

/// Answers each text with its tally, and bytes with the bytes in reverse.
struct Talk(Counts);

struct Talking {
    counts: Counts,
    call: Call,
}

impl Handler for Talk {
    async fn call(&self, call: &Call, _: Request) -> Result<Response> {
        Ok(Response::websocket(Talking { counts: self.0.clone(), call: *call }))
    }
}

impl SocketHandler for Talking {
    async fn run(&self, socket: Socket) -> Result<()> {
        while let Some(message) = socket.receive().await? {
            let answer = match message {
                Message::Text(text) if text == "bye" => {
                    return socket.close(4000, "as you wish").await;
                }
                Message::Text(text) => {
                    let count = self.counts.add(&self.call, &text, 1).await?;
                    Message::Text(format!("{text} {count}"))
                }
                Message::Binary(bytes) => {
                    Message::Binary(self.counts.reverse(&self.call, &bytes, None).await?)
                }
            };
            socket.send(answer).await?;
        }
        Ok(())
    }
}

export_plugin!(Report);
