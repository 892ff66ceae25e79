//! What the services of the storage plugin cost, through the boundary and durable.
//!
//! `cargo run --release --package fazt-tests --example storage_cost [SECONDS]` prints operations a
//! second of one caller and of 64 at once. Values differ each time: SQLite writes no page whose
//! bytes stay the same.

use std::time::Duration;

use fazt_kernel::BuiltIn;
use fazt_kernel::clock::{Clock as _, SystemClock};
use fazt_sdk::export::root_of;
use fazt_sdk::prelude::*;
use fazt_sdk::services::documents::{Documents as _, Find};
use fazt_sdk::services::kv::Kv as _;
use fazt_sdk::services::{DocumentsApi, KvApi, Space};
use fazt_testkit::{Caller, TestKernel};

type Outcome<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Keys and documents that are there before anything is measured.
const ROWS: u64 = 10_000;

#[derive(Debug, Default)]
struct Bench;

const PATH: &str = "/api/bench/{app}";

impl Plugin for Bench {
    fn manifest(&self) -> Manifest {
        Manifest::new("bench", "1")
            .uses::<KvApi>()
            .uses::<DocumentsApi>()
            .route(Route::admin(Method::Post, PATH))
    }

    fn start(&self, host: Host) -> Result<Started> {
        Ok(Started::new().handle(PATH, Run(host)))
    }
}

struct Run(Host);

impl Handler for Run {
    async fn call(&self, call: &Call, mut request: Request) -> Result<Response> {
        let body = request.body().collect(64).await?;
        let seconds: f64 = String::from_utf8_lossy(&body).parse().unwrap_or(1.0);
        let call = call.for_app(request.capture(0).parse()?);
        let bench = Measured {
            kv: self.0.service::<KvApi>()?,
            documents: self.0.service::<DocumentsApi>()?,
            call,
            time: Duration::from_secs_f64(seconds),
            clock: SystemClock::new(),
        };
        Ok(Response::text(bench.all().await?))
    }
}

struct Measured {
    kv: Service<KvApi>,
    documents: Service<DocumentsApi>,
    call: Call,
    time: Duration,
    clock: SystemClock,
}

const SHARED: Space = Space::Shared;

impl Measured {
    async fn all(&self) -> Result<String> {
        self.documents.index(&self.call, &SHARED, "posts", "group", false).await?;
        for start in (0..ROWS).step_by(1_000) {
            let documents: Vec<_> = (start..start + 1_000).map(document).collect();
            self.documents.insert_many(&self.call, &SHARED, "posts", &documents).await?;
            let keys = (start..start + 1_000).map(|n| self.set(n));
            futures_util::future::try_join_all(keys).await?;
        }
        let mut lines =
            String::from("operation                          1 caller    64 at once  per second\n");
        self.line(&mut lines, "kv get", |n| self.get(n % ROWS)).await?;
        self.line(&mut lines, "kv set", |n| self.set(n)).await?;
        self.line(&mut lines, "kv incr", |n| self.increment(n)).await?;
        self.line(&mut lines, "document insert, one index", |n| self.insert(n)).await?;
        self.line(&mut lines, "document get", |n| self.one(n)).await?;
        self.line(&mut lines, "document find, index, 20 of 100", |n| self.find(n)).await?;
        self.line(&mut lines, "document update by id", |n| self.update(n)).await?;
        Ok(lines)
    }

    async fn line<W, F>(&self, lines: &mut String, name: &str, work: W) -> Result<()>
    where
        W: Fn(u64) -> F,
        F: Future<Output = Result<()>>,
    {
        let mut rates = [0; 2];
        for (callers, rate) in [1_u64, 64].into_iter().zip(&mut rates) {
            let (start, mut done) = (self.clock.monotonic(), 0_u64);
            while self.clock.monotonic() - start < self.time {
                let batch = (done..done + callers).map(|n| work(n * 7_919 + callers));
                futures_util::future::try_join_all(batch).await?;
                done += callers;
            }
            let micros = (self.clock.monotonic() - start).as_micros().max(1);
            *rate = u128::from(done) * 1_000_000 / micros;
        }
        use std::fmt::Write as _;
        writeln!(lines, "{name:<33} {:>10} {:>13}", rates[0], rates[1])
            .map_err(|error| Error::internal(error.to_string()))?;
        Ok(())
    }

    async fn get(&self, n: u64) -> Result<()> {
        self.kv.get(&self.call, &SHARED, &format!("key{n}")).await.map(drop)
    }

    async fn set(&self, n: u64) -> Result<()> {
        let value = format!("{{\"n\":{n},\"text\":\"{}\"}}", "x".repeat(100));
        self.kv.set(&self.call, &SHARED, &format!("key{}", n % ROWS), &value, None).await.map(drop)
    }

    async fn increment(&self, n: u64) -> Result<()> {
        self.kv.increment(&self.call, &SHARED, &format!("count{}", n % 100), 1).await.map(drop)
    }

    async fn insert(&self, n: u64) -> Result<()> {
        let mut document = document(n + ROWS);
        document.replace_range(1..document.find("\"group\"").unwrap_or(1), "");
        self.documents.insert(&self.call, &SHARED, "posts", &document).await.map(drop)
    }

    async fn one(&self, n: u64) -> Result<()> {
        let id = format!("d{}", n % ROWS);
        self.documents.get(&self.call, &SHARED, "posts", &id).await.map(drop)
    }

    async fn find(&self, n: u64) -> Result<()> {
        let query = format!("{{\"group\":{}}}", n % 100);
        let find = Find { query, limit: 20, ..Find::default() };
        self.documents.find(&self.call, &SHARED, "posts", &find).await.map(drop)
    }

    async fn update(&self, n: u64) -> Result<()> {
        let query = format!("{{\"id\":\"d{}\"}}", n % ROWS);
        let changes = r#"{"$inc":{"count":1}}"#;
        self.documents.update(&self.call, &SHARED, "posts", &query, changes).await.map(drop)
    }
}

fn document(n: u64) -> String {
    let (group, text) = (n % 100, "word ".repeat(40));
    format!(
        "{{\"id\":\"d{n}\",\"group\":{group},\"count\":0,\"title\":\"Post {n}\",\"text\":\"{text}\"}}"
    )
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let seconds = std::env::args().nth(1).unwrap_or_else(|| "2".to_owned());
    let built_in = vec![
        BuiltIn { name: "storage", root: root_of::<fazt_storage::Storage> },
        BuiltIn { name: "bench", root: root_of::<Bench> },
    ];
    let kernel = TestKernel::with(built_in).await?;
    let app = kernel.app("bench").await?;
    let path = format!("/api/bench/{app}");
    let answer = kernel.admin(Caller::OWNER, Method::Post, &path, "", seconds).await;
    std::io::Write::write_all(&mut std::io::stdout(), answer.text().as_bytes())?;
    Ok(())
}
