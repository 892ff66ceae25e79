//! Measures an engine without a node: turns a second, cold start, memory. Run it optimised:
//! `cargo run --release -p fazt-js-engine --example turns`.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "it prints what it measures"
)]

use bytes::Bytes;
use fazt_js_engine::protocol::{
    Binding, Entry, File, FromCell, Headers, Init, Limits, Request, Role, ToCell,
};
use fazt_js_engine::{Closed, Port, Wait};
use std::collections::VecDeque;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Requests that arrive together, as they do from a node under load.
const BATCH: u64 = 32;

/// Answers every call with the same value and sends the next batch when one is answered.
struct Load {
    waiting: VecDeque<Bytes>,
    path: &'static str,
    next: u64,
    rounds: u64,
    answered: u64,
    init: Option<Bytes>,
    began: Instant,
    figures: Arc<Mutex<Figures>>,
}

#[derive(Debug, Default)]
struct Figures {
    cold: Duration,
    took: Duration,
    answered: u64,
    idle_kib: u64,
    failed: Option<String>,
}

fn request(id: u64, path: &str) -> Bytes {
    let url = format!("https://blog.example.org{path}");
    ToCell::Request(Request {
        id,
        method: "GET",
        url: &url,
        headers: Headers("host\nblog.example.org\naccept\n*/*\nuser-agent\nwrk\n"),
        ip: "203.0.113.7",
        ..Request::default()
    })
    .to_bytes()
}

impl Port for Load {
    fn receive(&mut self, _: Wait) -> Result<Vec<Bytes>, Closed> {
        if let Some(init) = self.init.take() {
            self.began = Instant::now();
            // A cold start answers one request.
            self.next += 1;
            return Ok(vec![init, request(self.next, self.path)]);
        }
        if !self.waiting.is_empty() {
            return Ok(self.waiting.drain(..).collect());
        }
        if self.answered < self.next {
            return Ok(Vec::new());
        }
        if self.next == 1 {
            let mut figures = self.figures.lock().unwrap();
            figures.cold = self.began.elapsed();
            figures.idle_kib = resident_kib();
            drop(figures);
            self.began = Instant::now();
        }
        if self.rounds == 0 {
            let mut figures = self.figures.lock().unwrap();
            figures.took = self.began.elapsed();
            figures.answered = self.answered - 1;
            return Err(Closed);
        }
        self.rounds -= 1;
        let first = self.next + 1;
        self.next += BATCH;
        Ok((first..first + BATCH).map(|id| request(id, self.path)).collect())
    }

    fn send(&mut self, frame: Bytes) {
        match FromCell::decode(&frame).unwrap() {
            FromCell::Response { .. } => self.answered += 1,
            FromCell::Call { call, .. } => {
                let result = ToCell::Result { call, result: Ok("{\"n\":1}") };
                self.waiting.push_back(result.to_bytes());
            }
            FromCell::Failed { problem, .. } => {
                self.figures.lock().unwrap().failed = Some(format!("{problem:?}"));
                self.answered += 1;
            }
            _ => {}
        }
    }

    fn flush(&mut self) -> Result<(), Closed> {
        Ok(())
    }
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn measure(name: &str, path: &'static str, source: &str, prelude: &[u8], rounds: u64) {
    let before = resident_kib();
    let init = ToCell::Init(Box::new(Init {
        app_id: "app_1",
        app_name: "blog",
        app_url: "https://blog.example.org",
        version: "0.1.0",
        limits: Limits::default(),
        env: "{}",
        bindings: vec![Binding { name: "app.kv.get", arguments: vec!["key"], promise: true }],
        files: vec![File { path: "api/main.js", source, stripped: false }],
        entries: vec![Entry { path: "api/main.js", role: Role::Api }],
        prelude: (!prelude.is_empty()).then_some(prelude),
        ..Init::default()
    }))
    .to_bytes();
    let figures = Arc::<Mutex<Figures>>::default();
    fazt_js_engine::run(Box::new(Load {
        waiting: VecDeque::new(),
        path,
        next: 0,
        rounds,
        answered: 0,
        init: Some(init),
        began: Instant::now(),
        figures: Arc::clone(&figures),
    }));
    let figures = figures.lock().unwrap();
    let each = figures.took / u32::try_from(figures.answered.max(1)).unwrap();
    println!(
        "{name:32} {each:>10.2?} a request, cold {:>9.2?}, memory +{} KiB {}",
        figures.cold,
        figures.idle_kib.saturating_sub(before),
        figures.failed.as_deref().unwrap_or_default(),
    );
}

/// Keeps what a cell answers to `Compile`.
struct Compile(Option<Bytes>, Arc<Mutex<Vec<u8>>>);

impl Port for Compile {
    fn receive(&mut self, _: Wait) -> Result<Vec<Bytes>, Closed> {
        self.0.take().map(|frame| vec![frame]).ok_or(Closed)
    }
    fn send(&mut self, frame: Bytes) {
        if let Ok(FromCell::Prelude { bytecode }) = FromCell::decode(&frame) {
            *self.1.lock().unwrap() = bytecode.to_vec();
        }
    }
    fn flush(&mut self) -> Result<(), Closed> {
        Ok(())
    }
}

fn main() {
    let compiled = Arc::<Mutex<Vec<u8>>>::default();
    let began = Instant::now();
    let frame = ToCell::Compile.to_bytes();
    fazt_js_engine::run(Box::new(Compile(Some(frame), Arc::clone(&compiled))));
    let prelude = compiled.lock().unwrap().clone();
    println!("prelude: {} KiB in {:.2?}", prelude.len() >> 10, began.elapsed());

    let hello = "export default { fetch(request) {
        const url = request.url, start = url.indexOf('/', 8), mark = url.indexOf('?', start);
        const path = mark < 0 ? url.slice(start) : url.slice(start, mark);
        if (path === '/api/hello') return Response.json({ hello: 'world' });
        return new Response('not found', { status: 404 }); } };";
    let headers = "export default { async fetch(request) {
        const url = new URL(request.url);
        return new Response(JSON.stringify({ path: url.pathname, agent: request.headers.get('user-agent') }), { headers: { 'content-type': 'application/json' } }); } };";
    let kv = "export default { async fetch(request) {
        return Response.json({ value: await fazt.app.kv.get('k') }); } };";
    let render = "const e = (s) => s.replace(/[&<>\"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '\"': '&quot;' })[c]);
        export default () => { let rows = '';
        for (let i = 0; i < 100; i++) rows += `<tr><td>${i}</td><td>${e('Name <' + i + '> & co')}</td><td>${(i * 37) % 101}</td></tr>\\n`;
        return new Response(`<!doctype html><table>${rows}</table>`, { headers: { 'content-type': 'text/html' } }); };";
    let classic = "respond({ hello: 'world' })";
    if std::env::args().nth(1).as_deref() == Some("classic") {
        return measure("classic hello", "/api/hello", classic, &prelude, 100);
    }
    measure("hello, no prelude", "/api/hello", hello, b"", 2_000);
    for _ in 0..3 {
        measure("hello", "/api/hello", hello, &prelude, 10_000);
    }
    measure("URL and headers", "/api/x?a=1", headers, &prelude, 5_000);
    measure("awaited call", "/api/kv", kv, &prelude, 5_000);
    measure("render 100 rows", "/api/render", render, &prelude, 200);
    measure("classic hello", "/api/hello", classic, &prelude, 100);
}
