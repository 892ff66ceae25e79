//! What it costs to cross the boundary between the kernel and a plugin.
//!
//! | Arguments | |
//! |---|---|
//! | (none) | nanoseconds per call: the median of 9 interleaved rounds |
//! | `serve WHICH N` | answers N requests over a socket, to count instructions under `valgrind --tool=callgrind`; the client is another process. `WHICH` is `kernel` (a built-in plugin), `library` (a loaded one), `boundary` (the edge and a plugin, nothing between), or `direct` (the edge and the same handler, called as a function) |
//! | `count PLACE N` | calls a service without arguments N times; `PLACE` is `builtin` or `loaded` |
//! | `client PORT N` | that client |
//!
//! Instructions of one request or call: the difference between runs with N and 2 N, divided by N.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::pin::Pin;
use std::process::{Child, Command};
use std::sync::Arc;

use abi_stable::std_types::{ROption, RResult};
use fazt_abi::http::{Field, RawRequest, RawRequestHead, RawResponse, Span};
use fazt_abi::instance::RawInstance;
use fazt_kernel::BuiltIn;
use fazt_kernel::clock::{Clock as _, SystemClock};
use fazt_kernel::edge::{self, BlobSource, Edge, EdgeRequest, Gateway, Listener};
use fazt_sdk::call::CallBuilder;
use fazt_sdk::export::{assemble, root_of};
use fazt_sdk::prelude::*;
use fazt_testkit::TestKernel;
use fazt_tests::fixtures::Library;

const ROUNDS: usize = 9;
const CALLS: u32 = 20_000;

type Outcome<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
type Work = Pin<Box<dyn Future<Output = ()>>>;

/// The interface of the loaded `counts`, written down a second time: what counts is its shape.
#[service("counts.cost", 1)]
trait Cost {
    async fn nothing(&self, call: &Call) -> Result<()>;
    async fn length(&self, call: &Call, text: &str) -> Result<u32>;
    async fn next(&self, call: &Call, record: &Tallied) -> Result<Tallied>;
}

#[derive(Wire, Debug, Clone)]
struct Tallied {
    name: String,
    count: u64,
    last: Option<i64>,
    tags: Vec<String>,
}

fn record() -> Tallied {
    Tallied { name: "visits".to_owned(), count: 1, last: Some(2), tags: vec!["a".to_owned()] }
}

/// The same methods, compiled in.
#[derive(Default)]
struct Costs;

impl Plugin for Costs {
    fn manifest(&self) -> Manifest {
        Manifest::new("costs", "1").provides::<CostApi>()
    }

    fn start(&self, _: Host) -> Result<Started> {
        Ok(Started::new().provide(CostApi::of(Self)))
    }
}

impl Cost for Costs {
    async fn nothing(&self, _: &Call) -> Result<()> {
        Ok(())
    }

    async fn length(&self, _: &Call, text: &str) -> Result<u32> {
        Ok(u32::try_from(text.len()).unwrap_or(u32::MAX))
    }

    async fn next(&self, _: &Call, record: &Tallied) -> Result<Tallied> {
        Ok(Tallied { count: record.count + 1, ..record.clone() })
    }
}

/// Hands the service's handle out.
#[derive(Default)]
struct User;

static HANDLE: std::sync::Mutex<Option<Service<CostApi>>> = std::sync::Mutex::new(None);

impl Plugin for User {
    fn manifest(&self) -> Manifest {
        Manifest::new("user", "1").uses::<CostApi>()
    }

    fn start(&self, host: Host) -> Result<Started> {
        let handle = host.service()?;
        *HANDLE.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(handle);
        Ok(Started::new())
    }
}

fn handle() -> Outcome<Service<CostApi>> {
    let mut handle = HANDLE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(handle.take().ok_or("the user of the service did not start")?)
}

/// The body of a page that is always there.
fn body() -> Bytes {
    Bytes::from(vec![b'x'; 10 << 10])
}

/// The page as a plugin's handler answers with it.
struct Answers(fazt_sdk::http::PreparedHead, Bytes);

impl Handler for Answers {
    async fn call(&self, _: &Call, _: Request) -> Result<Response> {
        Ok(Response::prepared(200, &self.0).body(self.1.clone()))
    }
}

/// A plugin with that one page.
#[derive(Default)]
struct Pages;

impl Plugin for Pages {
    fn manifest(&self) -> Manifest {
        Manifest::new("pages", "1").route(Route::app(Method::Get, "/_report/page").public())
    }

    fn start(&self, host: Host) -> Result<Started> {
        let head = host.prepare([
            ("content-type", "text/html; charset=utf-8"),
            ("etag", "\"2cf24dba5fb0a30e26e83b2ac5b9e29e\""),
            ("cache-control", "public, max-age=60"),
            ("x-content-type-options", "nosniff"),
        ])?;
        let page = Answers(head, body());
        Ok(Started::new().handle("/_report/page", page))
    }
}

/// The same handler on both sides of the comparison.
struct Raw(Bytes);

impl Handler for Raw {
    async fn call(&self, _: &Call, request: Request) -> Result<Response> {
        std::hint::black_box(request.path());
        Ok(Response::new(200).body(self.0.clone()))
    }
}

fn instance() -> Result<RawInstance> {
    let manifest = Manifest::new("raw", "1").route(Route::app(Method::Get, "/_report/page"));
    assemble(&manifest, Started::new().handle("/_report/page", Raw(body())))
}

fn anonymous() -> Call {
    CallBuilder::new(Principal::Anonymous, 1).build()
}

/// A request with ten header fields, as the edge hands it over.
fn request() -> RawRequest {
    let mut text = Vec::with_capacity(512);
    let mut put = |part: &str| {
        let start = u32::try_from(text.len()).unwrap_or_default();
        text.extend_from_slice(part.as_bytes());
        Span { start, len: u32::try_from(part.len()).unwrap_or_default() }
    };
    let fields: Vec<Field> = (0..10)
        .map(|_| Field { name: put("accept-language"), value: put("en-US,en;q=0.9,de;q=0.8") })
        .collect();
    let (method, host, path) = (put("GET"), put("blog.localhost"), put("/_report/page"));
    let head = RawRequestHead {
        size: u32::try_from(size_of::<RawRequestHead>()).unwrap_or_default(),
        secure: 0,
        fields: fields.into(),
        captures: Vec::new().into(),
        method,
        host,
        port: Span::default(),
        path,
        raw_path: path,
        query: Span::default(),
        client: [0; 16],
        preview: Span::default(),
        text: text.into(),
    };
    RawRequest { head, body: ROption::RNone }
}

#[inline(never)]
async fn plain(number: u32) -> u32 {
    std::hint::black_box(number)
}

#[inline(never)]
fn boxed(number: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    Box::pin(async move { std::hint::black_box(number) })
}

/// One thing that is measured: its name, and how to do it many times.
struct Case(String, Box<dyn Fn() -> Work>);

impl Case {
    fn new<W, F>(name: &str, work: W) -> Self
    where
        W: Fn() -> F + Clone + 'static,
        F: Future<Output = ()> + 'static,
    {
        let run = move || -> Work {
            let work = work.clone();
            Box::pin(async move {
                for _ in 0..CALLS {
                    work().await;
                }
            })
        };
        Self(name.to_owned(), Box::new(run))
    }
}

fn service(cases: &mut Vec<Case>, place: &str, handle: &Service<CostApi>) {
    let call = anonymous();
    let costs = handle.clone();
    cases.push(Case::new(&format!("service, no arguments, {place}"), move || {
        let costs = costs.clone();
        async move { drop(std::hint::black_box(costs.nothing(&call).await)) }
    }));
    let costs = handle.clone();
    cases.push(Case::new(&format!("service, &str, {place}"), move || {
        let costs = costs.clone();
        async move { drop(std::hint::black_box(costs.length(&call, "/blog/index.html").await)) }
    }));
    let costs = handle.clone();
    cases.push(Case::new(&format!("service, record there and back, {place}"), move || {
        let costs = costs.clone();
        async move { drop(std::hint::black_box(costs.next(&call, &record()).await)) }
    }));
}

/// A node that provides the service, and a handle to it.
async fn provided(loaded: bool) -> Outcome<(TestKernel, Service<CostApi>)> {
    let user = BuiltIn { name: "user", root: root_of::<User> };
    let costs = BuiltIn { name: "costs", root: root_of::<Costs> };
    let kernel = if loaded {
        let library = vec![Library::CountsOptimized.path()];
        TestKernel::configured(vec![user], library, &[]).await?
    } else {
        TestKernel::with(vec![costs, user]).await?
    };
    Ok((kernel, handle()?))
}

async fn count(place: &str, calls: &str) -> Outcome<()> {
    let (_kernel, costs) = provided(place == "loaded").await?;
    let call = anonymous();
    for _ in 0..calls.parse::<u32>()? {
        costs.nothing(&call).await?;
    }
    Ok(())
}

async fn calls() -> Outcome<()> {
    let (_built_in, built_in) = provided(false).await?;
    let (_loaded, loaded) = provided(true).await?;

    let mut cases = vec![
        Case::new("an async fn", || async {
            std::hint::black_box(plain(1).await);
        }),
        Case::new("a boxed future", || async {
            std::hint::black_box(boxed(1).await);
        }),
    ];
    service(&mut cases, "built in", &built_in);
    service(&mut cases, "loaded", &loaded);
    let handler = Arc::new(Raw(body()));
    cases.push(Case::new("a request of 10 fields: made and dropped", || async {
        drop(std::hint::black_box(request()));
    }));
    cases.push(Case::new("a request of 10 fields: its handler called directly", move || {
        let handler = Arc::clone(&handler);
        async move {
            let answer = handler.call(&anonymous(), Request::from_raw(request())).await;
            drop(std::hint::black_box(answer.map(Response::into_raw)));
        }
    }));
    let instance = Arc::new(instance()?);
    cases.push(Case::new("a request of 10 fields: behind the boundary", move || {
        let instance = Arc::clone(&instance);
        async move {
            drop(std::hint::black_box(instance.handle(0, anonymous().as_raw(), request()).await));
        }
    }));

    let clock = SystemClock::new();
    let mut measured = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for (case, rounds) in cases.iter().zip(&mut measured) {
            let before = clock.monotonic();
            (case.1)().await;
            let spent = clock.monotonic().saturating_sub(before);
            rounds.push(spent.as_nanos() / u128::from(CALLS));
        }
    }
    for (case, rounds) in cases.iter().zip(&mut measured) {
        rounds.sort_unstable();
        say(&format!("{:>6} ns  {}", rounds[ROUNDS / 2], case.0));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "figures are for whoever asked")]
fn say(line: &str) {
    println!("{line}");
}

/// The edge and a plugin, or the edge and the handler itself.
enum Thin {
    Boundary(RawInstance),
    Direct(Raw),
}

impl Gateway for Thin {
    async fn handle(&self, request: EdgeRequest) -> RawResponse {
        let call = CallBuilder::new(Principal::Anonymous, request.request_id.number()).build();
        let answer = match self {
            Self::Boundary(instance) => {
                match instance.handle(0, call.as_raw(), request.raw).await {
                    RResult::ROk(answer) => Ok(answer),
                    RResult::RErr(error) => Err(Error::from(error)),
                }
            }
            Self::Direct(handler) => {
                let answer = handler.call(&call, Request::from_raw(request.raw)).await;
                answer.map(Response::into_raw)
            }
        };
        answer.unwrap_or_else(|_| Response::new(500).into_raw())
    }
}

struct NoBlobs;

impl BlobSource for NoBlobs {
    async fn chunk(&self, _: &[u8; 32], _: u64, _: u32) -> Result<Bytes> {
        Err(Error::not_found("there are no blobs here"))
    }
}

/// Starts the client as a process of its own, so that it is not counted.
fn client(port: u16, requests: &str) -> Outcome<Child> {
    let program = std::env::current_exe()?;
    Ok(Command::new(program).args(["client", &port.to_string(), requests]).spawn()?)
}

async fn ended(mut client: Child) -> Outcome<()> {
    loop {
        match client.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("the client ended with {status}").into()),
            // The client needs this thread to answer it; asking is not part of a request.
            None => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
}

async fn serve(which: &str, requests: &str) -> Outcome<()> {
    let thin = match which {
        "boundary" => Thin::Boundary(instance()?),
        "direct" => Thin::Direct(Raw(body())),
        "kernel" | "library" => return serve_kernel(which, requests).await,
        other => return Err(format!("{other} is nothing that can be served").into()),
    };
    let listener = Listener::tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let port = listener.local_address().map_or(0, |address| address.port());
    let clock = Arc::new(SystemClock::new());
    let edge = Edge::new(Arc::new(thin), Arc::new(NoBlobs), edge::Options::default(), clock);
    let client = client(port, requests)?;
    let mut outcome = Ok(());
    edge.serve(vec![listener], async { outcome = ended(client).await }).await;
    outcome
}

async fn serve_kernel(which: &str, requests: &str) -> Outcome<()> {
    let settings = [("server.host", "127.0.0.1"), ("server.port", "0")];
    let kernel = if which == "library" {
        let libraries = [Library::CountsOptimized, Library::ReportOptimized];
        let paths = libraries.map(Library::path).to_vec();
        TestKernel::configured(Vec::new(), paths, &settings).await?
    } else {
        let pages = BuiltIn { name: "pages", root: root_of::<Pages> };
        TestKernel::configured(vec![pages], Vec::new(), &settings).await?
    };
    kernel.app("blog").await?;
    let serving = kernel.kernel().serve()?;
    ended(client(serving.port(), requests)?).await?;
    serving.drain().await;
    Ok(())
}

/// Asks for the page `requests` times over one connection.
fn ask(port: &str, requests: &str) -> Outcome<()> {
    let (port, requests): (u16, u32) = (port.parse()?, requests.parse()?);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let head = "GET /_report/page HTTP/1.1\r\nhost: blog.localhost\r\nuser-agent: Mozilla/5.0 (X11; Linux x86_64)\r\naccept: text/html,application/xhtml+xml\r\naccept-language: en-US,en;q=0.9\r\naccept-encoding: gzip, deflate, br\r\nreferer: http://blog.localhost/\r\ncookie: theme=dark\r\nsec-fetch-dest: document\r\nsec-fetch-mode: navigate\r\nupgrade-insecure-requests: 1\r\n\r\n";
    let mut buffer = vec![0; 64 << 10];
    for _ in 0..requests {
        stream.write_all(head.as_bytes())?;
        let mut filled = 0;
        // The body ends with the only `x` that is not followed by another.
        loop {
            let read = stream.read(&mut buffer[filled..])?;
            filled += read;
            let answer = &buffer[..filled];
            let body = answer.windows(4).position(|window| window == b"\r\n\r\n");
            if body.is_some_and(|at| filled - at - 4 >= 10 << 10) {
                break;
            }
            if read == 0 {
                return Err(String::from_utf8_lossy(answer).into());
            }
        }
        if !buffer.starts_with(b"HTTP/1.1 200 ") {
            return Err(String::from_utf8_lossy(&buffer[..filled]).into());
        }
    }
    Ok(())
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match arguments[..] {
        ["client", port, requests] => ask(port, requests),
        ["count", place, calls] => runtime.block_on(count(place, calls)),
        ["serve", which, requests] => runtime.block_on(serve(which, requests)),
        _ => runtime.block_on(calls()),
    }
}
