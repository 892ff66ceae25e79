//! The ledger of data: clients write through an app to a node that is killed at random instants; what was
//! acknowledged is there afterwards, and nothing is there by half.
//!
//! `DATA_LEDGER_KILLS`, `DATA_LEDGER_ACKS` and `DATA_LEDGER_SEED` set length and order of the run.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fazt_tests::cartridge::{content_of, copy_of, soundness};
use fazt_tests::{Broken, Client, Home, Node, Random, Request, hex, setting, until};
use rusqlite::Connection;
use serde_json::{Value, json};

const APP: &str = include_str!("written/ledger.js");

/// Connections that write at the same time.
const WRITERS: u64 = 24;

/// What is known of one thing. `null`: it is not there.
#[derive(Debug, Default, Clone)]
struct Known {
    /// What was acknowledged last.
    certain: Value,
    /// What it may be instead: a write that nobody answered.
    possible: Option<Value>,
}

/// Who writes to things that nobody else writes to, one write at a time.
struct Writer {
    number: u64,
    n: u64,
    random: Random,
    known: BTreeMap<String, Known>,
    acks: u64,
}

impl Writer {
    fn write_on(&mut self, port: u16, acks: &AtomicU64) {
        let Ok(mut client) = Client::connect(port) else { return };
        while self.write_one(&mut client).is_ok() {
            acks.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn write_one(&mut self, client: &mut Client) -> Result<(), Broken> {
        self.n += 1;
        let slot = self.random.below(4);
        let (kind, value) = match self.random.below(10) {
            0..3 => ("value", json!({ "n": self.n, "text": "ü".repeat(10) })),
            3 => ("gone", Value::Null),
            4 | 5 => ("document", json!(self.n)),
            6 => {
                // Now and then larger than one row holds.
                let size = if self.random.below(8) == 0 { 400_000 } else { 300 };
                let noise = hex(&self.random.bytes(16));
                ("object", json!(noise.repeat(size / noise.len() + 1)))
            }
            7 => ("count", Value::Null),
            _ => ("step", Value::Null),
        };
        let is_one = matches!(kind, "count" | "step");
        let stored = if kind == "gone" { "value" } else { kind };
        let name = match is_one {
            true => format!("{stored}/{}", self.number),
            false => format!("{stored}/{}-{slot}", self.number),
        };
        let known = self.known.entry(name.clone()).or_default();
        let becomes = match kind {
            "count" | "step" => json!(known.certain.as_u64().unwrap_or_default() + 1),
            "object" => json!(hex(value.as_str().unwrap_or_default().as_bytes())),
            _ => value.clone(),
        };
        known.possible = Some(becomes.clone());
        let body = json!({ "kind": kind, "name": name, "value": value });
        let request = Request::new("POST", "ledger.localhost", "/api").json(&body);
        let answer = client.send(&request)?;
        // A node that is killed between two bytes answers nothing; whatever it answers is good.
        assert_eq!(answer.status, 200, "{kind} {name}: {}", answer.text());
        if is_one {
            assert_eq!(answer.json()["result"], becomes, "{name}");
        }
        self.acks += 1;
        *known = Known { certain: becomes, possible: None };
        Ok(())
    }
}

/// What the tables hold, by the names of the writers.
fn everything(database: &Connection) -> HashMap<String, Value> {
    let mut found = HashMap::new();
    let mut each = |sql: &str, value: fn(String) -> Value| {
        let mut query = database.prepare(sql).unwrap();
        let mut rows = query.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let (name, text): (String, String) = (row.get(0).unwrap(), row.get(1).unwrap());
            let before = found.insert(name.clone(), value(text));
            assert!(before.is_none(), "{name} is there twice");
        }
    };
    each("SELECT key, value FROM storage_kv", |text| serde_json::from_str(&text).unwrap());
    let documents = "SELECT d.id, json_extract(d.body, '$.value') FROM storage_document AS d \
                     JOIN storage_collection AS c ON c.id = d.collection WHERE c.name = 'docs'";
    each(&documents.replace("json_extract", "'' || json_extract"), |text| {
        serde_json::from_str(&text).unwrap()
    });
    each("SELECT path, lower(hex(hash)) FROM storage_object", Value::from);
    found
}

/// Statements that count what is there by half.
const WHOLE: [(&str, &str); 9] = [
    (
        "a transaction whose documents are not those that its number says",
        "SELECT count(*) FROM storage_kv AS k WHERE k.key LIKE 'step/%' AND CAST(k.value AS INTEGER) <> (SELECT count(*) \
         FROM storage_document AS d JOIN storage_collection AS c ON c.id = d.collection AND c.name = 'steps' \
         WHERE d.id LIKE k.key || '-%')",
    ),
    (
        "a document of a transaction whose number is not there",
        "SELECT count(*) FROM storage_document AS d JOIN storage_collection AS c ON c.id = d.collection \
         WHERE c.name = 'steps' AND NOT EXISTS (SELECT 1 FROM storage_kv AS k WHERE d.id LIKE k.key || '-%')",
    ),
    (
        "a document that an index does not have, or has twice",
        "SELECT count(*) FROM storage_index AS i WHERE \
         (SELECT count(*) FROM storage_index_entry AS e WHERE e.idx = i.id) <> \
         (SELECT count(*) FROM storage_document AS d WHERE d.collection = i.collection)",
    ),
    (
        "an entry of an index that says something else than its document",
        "SELECT count(*) FROM storage_index_entry AS e LEFT JOIN storage_document AS d ON d.place = e.place \
         WHERE e.key IS NOT json_extract(d.body, '$.group')",
    ),
    (
        "a collection that counts something else than its documents",
        "SELECT count(*) FROM storage_collection AS c WHERE c.count <> \
         (SELECT count(*) FROM storage_document AS d WHERE d.collection = c.id)",
    ),
    (
        "an app that counts other values than it has",
        "SELECT count(*) FROM storage_app AS a WHERE (a.kv_count, a.kv_bytes) <> (SELECT count(*), \
         coalesce(sum(octet_length(key) + octet_length(value)), 0) FROM storage_kv AS k WHERE k.app = a.app)",
    ),
    (
        "an app that counts other documents than it has",
        "SELECT count(*) FROM storage_app AS a WHERE a.document_count <> (SELECT count(*) \
         FROM storage_document AS d JOIN storage_collection AS c ON c.id = d.collection AND c.app = a.app)",
    ),
    (
        "an app that counts other objects than it has",
        "SELECT count(*) FROM storage_app AS a WHERE (a.object_count, a.object_bytes) <> \
         (SELECT count(*), coalesce(sum(size), 0) FROM storage_object AS o WHERE o.app = a.app)",
    ),
    (
        "a version that is used twice, or was not given out",
        "SELECT count(*) FROM storage_kv AS k JOIN storage_app AS a ON a.app = k.app WHERE k.version > a.version",
    ),
];

/// What is wrong, in sentences. What was found is certain from now on.
fn audit(home: &Home, writers: &mut [Writer]) -> Vec<String> {
    let (database, _directory) = copy_of(&home.db());
    let mut problems = soundness(&database);
    let found = everything(&database);
    for (name, known) in writers.iter_mut().flat_map(|writer| &mut writer.known) {
        let is = found.get(name).cloned().unwrap_or_default();
        if is != known.certain && Some(&is) != known.possible.as_ref() {
            problems.push(format!("lost: {name} was acknowledged as {known:?}, is {is}"));
        }
        *known = Known { certain: is, possible: None };
    }
    let is_known = |name: &str| writers.iter().any(|writer| writer.known.contains_key(name));
    for name in found.keys().filter(|name| !is_known(name)) {
        problems.push(format!("{name} is there, and nobody wrote it"));
    }
    for (what, sql) in WHOLE {
        let torn: i64 = database.query_row(sql, [], |row| row.get(0)).unwrap();
        if torn != 0 {
            problems.push(format!("torn: {torn} times, {what}"));
        }
    }
    let mut objects = database.prepare("SELECT path, hash FROM storage_object").unwrap();
    let objects = objects.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    for (path, hash) in objects.unwrap().map(Result::<(String, Vec<u8>), _>::unwrap) {
        let content = content_of(&database, &hash).unwrap_or_default();
        if hex(&content) != hexed(&hash) {
            problems.push(format!("torn: the content of {path} is not there, or something else"));
        }
    }
    problems
}

fn start(home: &Home) -> Node {
    let node = home.start();
    let deployed = node.deploy("ledger", &[("api/main.js", APP), ("index.html", "x")]);
    assert_eq!(deployed.status, 200, "{}", deployed.text());
    node
}

#[test]
fn nothing_that_an_app_was_told_is_lost_or_torn_by_kill_9() {
    let kills = setting("DATA_LEDGER_KILLS", 12);
    let acks = setting("DATA_LEDGER_ACKS", 6_000);
    let seed = setting("DATA_LEDGER_SEED", u64::from(std::process::id()));
    let mut random = Random::new(seed);
    let home = Home::new();
    let mut writers: Vec<_> = (0..WRITERS)
        .map(|number| Writer {
            number,
            n: 0,
            random: Random::new(seed * 1_000 + number),
            known: BTreeMap::new(),
            acks: 0,
        })
        .collect();
    let acknowledged = AtomicU64::new(0);
    let mut killed = 0;
    while killed < kills || acknowledged.load(Ordering::Relaxed) < acks {
        let node = start(&home);
        let port = node.port();
        let share = acks / kills.max(1);
        let enough = acknowledged.load(Ordering::Relaxed) + share / 2 + random.below(share + 1);
        std::thread::scope(|scope| {
            for writer in &mut writers {
                scope.spawn(|| writer.write_on(port, &acknowledged));
            }
            until(Duration::from_secs(120), "the writers write", || {
                acknowledged.load(Ordering::Relaxed) >= enough
            });
            // The instant of death: also in the middle of a transaction, a commit, a checkpoint.
            std::thread::sleep(Duration::from_micros(random.below(30_000)));
            let said = node.kill();
            assert!(!said.contains("panicked"), "{said}");
        });
        killed += 1;
        let problems = audit(&home, &mut writers);
        assert_eq!(problems, Vec::<String>::new(), "after kill {killed}, seed {seed}");
    }
    // What the tables hold is what the app reads.
    let node = home.start();
    for writer in &writers {
        for (name, known) in writer.known.iter().filter(|(name, _)| name.starts_with("count/")) {
            let body = json!({ "kind": "count", "name": name });
            let answer = node.send(&Request::new("POST", "ledger.localhost", "/api").json(&body));
            let next = known.certain.as_u64().unwrap_or_default() + 1;
            assert_eq!(answer.json()["result"], next, "{name}, seed {seed}");
        }
    }
    assert!(node.stop().success());
    assert!(writers.iter().all(|writer| writer.acks > 0));
    println!(
        "data ledger: seed {seed}, {killed} kills, {acknowledged:?} acknowledged writes, 0 lost, 0 torn"
    );
}

fn hexed(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
