//! How long a write waits while very much is removed: keys that have expired, the data of an app, an index.
//!
//! `cargo run --release --package fazt-tests --example removal_cost [ROWS [PART OF A NAME]]` prints, for each, how long the removal
//! took and the median, the 99th percentile and the longest of the writes of another app meanwhile.

use std::time::Duration;

use fazt_kernel::BuiltIn;
use fazt_kernel::clock::{Clock as _, SystemClock};
use fazt_sdk::export::root_of;
use fazt_sdk::http::Method;
use fazt_testkit::TestKernel;
use rusqlite::{Connection, params};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const DIGITS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)";

struct Removal {
    name: &'static str,
    /// Fills the cartridge of a stopped node: rows, and the app.
    fill: fn(&Connection, i64, &str) -> rusqlite::Result<usize>,
    /// Asks for the removal; nothing where the node does so by itself.
    ask: Option<(Method, &'static str, &'static str)>,
    /// Answers 0 once everything is gone.
    left: &'static str,
}

const REMOVALS: [Removal; 4] = [
    Removal {
        name: "keys that expired",
        fill: |database, rows, app| {
            let sql = format!(
                "{DIGITS} INSERT INTO storage_kv (app, user, key, value, version, expires_at) \
                 SELECT ?2, '', printf('session:%08x', (i * 2654435761) % 4294967296), '{{\"n\":' || i || '}}', i, \
                 1000 + (i * 7919) % 1000000 FROM n"
            );
            counted(database, "kv", rows, app)?;
            database.execute(&sql, params![rows, app])
        },
        ask: None,
        left: "SELECT count(*) FROM (SELECT 1 FROM storage_kv WHERE expires_at IS NOT NULL LIMIT 1)",
    },
    Removal {
        name: "an app with keys",
        fill: |database, rows, app| {
            let sql = format!(
                "{DIGITS} INSERT INTO storage_kv (app, user, key, value, version) \
                 SELECT ?2, 'user' || (i % 1000), 'key' || i, '{{\"n\":' || i || '}}', i FROM n"
            );
            counted(database, "kv", rows, app)?;
            database.execute(&sql, params![rows, app])
        },
        ask: Some((Method::Delete, "/api/apps/alpha", "")),
        left: "SELECT count(*) FROM (SELECT 1 FROM storage_kv WHERE user <> '' LIMIT 1)",
    },
    Removal {
        name: "an index of equal keys",
        fill: |database, rows, app| {
            collection(database, app, 0)?;
            let sql = format!(
                "{DIGITS} INSERT INTO storage_index_entry (idx, key, place) SELECT 77, x'00', (77 << 39) + i FROM n"
            );
            database.execute(&sql, params![rows])
        },
        ask: Some((
            Method::Post,
            "/api/storage/alpha/indexes/c",
            r#"{"field": "done", "remove": true}"#,
        )),
        left: "SELECT count(*) FROM (SELECT 1 FROM storage_index_entry WHERE idx = 77 LIMIT 1)",
    },
    Removal {
        name: "documents, with an index",
        fill: |database, rows, app| {
            collection(database, app, rows)?;
            counted(database, "document", rows, app)?;
            let sql = format!(
                "{DIGITS} INSERT INTO storage_index_entry (idx, key, place) SELECT 77, i % 1000, (77 << 39) + i FROM n"
            );
            database.execute(&sql, params![rows])?;
            let sql = format!(
                "{DIGITS} INSERT INTO storage_document (place, collection, id, body, version, created_at, updated_at) \
                 SELECT (77 << 39) + i, 77, 'id' || i, '{{\"done\":' || (i % 1000) || ',\"text\":\"some words\"}}', \
                 i, 1, 1 FROM n"
            );
            database.execute(&sql, params![rows])
        },
        ask: Some((Method::Delete, "/api/storage/alpha/docs/c", r#"{"query": "%7B%7D"}"#)),
        left: "SELECT count(*) FROM (SELECT 1 FROM storage_document WHERE collection = 77 LIMIT 1)",
    },
];

fn collection(database: &Connection, app: &str, documents: i64) -> rusqlite::Result<usize> {
    let sql = "INSERT INTO storage_collection (id, app, user, name, next, count, bytes) \
               VALUES (77, ?1, '', 'c', ?2 + 1, ?2, ?2 * 100)";
    database.execute(sql, params![app, documents])?;
    let sql = "INSERT INTO storage_index (id, collection, field, path, is_unique) \
               VALUES (77, 77, 'done', '$.\"done\"', 0)";
    database.execute(sql, [])
}

fn counted(database: &Connection, what: &str, rows: i64, app: &str) -> rusqlite::Result<usize> {
    let sql = format!(
        "INSERT INTO storage_app (app, version, {what}_count, {what}_bytes) VALUES (?1, ?2, ?2, ?2 * 40)"
    );
    database.execute(&sql, params![app, rows])
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let rows = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let mut lines = format!(
        "{rows} rows                     removed in     writes of another app: median      p99  longest\n"
    );
    let wanted = std::env::args().nth(2).unwrap_or_default();
    for removal in REMOVALS.iter().filter(|removal| removal.name.contains(&wanted)) {
        use std::fmt::Write as _;
        let (took, mut waits) = measure(removal, rows).await?;
        waits.sort_unstable();
        let at = |share: usize| waits.get(waits.len() * share / 1000).copied().unwrap_or_default();
        writeln!(
            lines,
            "{:<30} {:>8.1} s {:>32.2} {:>8.2} {:>8.2} ms  ({} writes)",
            removal.name,
            took.as_secs_f64(),
            ms(at(500)),
            ms(at(990)),
            ms(waits.last().copied().unwrap_or_default()),
            waits.len()
        )?;
    }
    std::io::Write::write_all(&mut std::io::stdout(), lines.as_bytes())?;
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

async fn measure(removal: &Removal, rows: i64) -> Outcome<(Duration, Vec<Duration>)> {
    let built_in = vec![BuiltIn { name: "storage", root: root_of::<fazt_storage::Storage> }];
    let mut kernel =
        TestKernel::configured(built_in, Vec::new(), &[("storage.sweep", "1 s")]).await?;
    let app = kernel.app("alpha").await?.to_string();
    kernel.app("beta").await?;
    kernel.stop().await?;
    {
        let database = Connection::open(kernel.cartridge())?;
        database.execute_batch("BEGIN")?;
        (removal.fill)(&database, rows, &app)?;
        database.execute_batch("COMMIT")?;
    }
    kernel.restart().await?;
    let clock = SystemClock::new();
    let (start, mut waits, mut n) = (clock.monotonic(), Vec::new(), 0_u64);
    let probes = async {
        loop {
            n += 1;
            let before = clock.monotonic();
            let body = json!({ "key": format!("k{}", n % 100), "value": n });
            kernel.operate(Method::Put, "/api/storage/beta/kv", body).await?;
            waits.push(clock.monotonic() - before);
            if n % 20 == 0 && is_gone(&kernel, removal.left).await? {
                return Outcome::Ok(clock.monotonic() - start);
            }
        }
    };
    let asked = async {
        match removal.ask {
            Some((method, path, input)) => {
                let input = serde_json::from_str(input).unwrap_or(Value::Null);
                kernel.operate(method, path, input).await.map(drop)
            }
            None => Ok(()),
        }
    };
    let (took, asked) = futures_util::join!(probes, asked);
    asked?;
    let took = took?;
    kernel.stop().await?;
    Ok((took, waits))
}

async fn is_gone(kernel: &TestKernel, sql: &str) -> Outcome<bool> {
    let answer = kernel.operate(Method::Post, "/api/sql", json!({ "query": sql })).await?;
    Ok(answer["rows"][0][0] == 0)
}
