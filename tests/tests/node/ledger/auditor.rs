//! The auditor: knows the tables, the addresses and the ledger, and nothing of how it was written.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use fazt_tests::cartridge::{content_of, copy_of, soundness};
use fazt_tests::{Client, Request, Stopwatch, hex};
use rusqlite::Connection;

use super::book::Book;

#[derive(Default)]
pub(super) struct Auditor {
    took: Duration,
}

impl Auditor {
    /// Time spent auditing.
    pub(super) fn took(&self) -> Duration {
        self.took
    }

    /// What is wrong with a copy of the files as the crash left them, in sentences.
    pub(super) fn audit_files(&mut self, book: &mut Book, db: &Path) -> Vec<String> {
        let watch = Stopwatch::start();
        let (database, _directory) = copy_of(db);
        let mut problems = soundness(&database);
        let found = everything(&database);
        for name in book.names() {
            let found = found.get(&name).map_or("-", String::as_str);
            problems.extend(book.found(&name, found));
        }
        for (what, sql) in WHOLE {
            let torn: i64 = database.query_row(sql, [], |row| row.get(0)).unwrap();
            if torn != 0 {
                problems.push(format!("torn: {torn} times, {what}"));
            }
        }
        problems.extend(contents(&database));
        self.took += watch.elapsed();
        problems
    }

    /// What the node answers that it should not, after the files were audited.
    pub(super) fn audit_answers(&mut self, book: &Book, port: u16, key: &str) -> Vec<String> {
        let watch = Stopwatch::start();
        let mut client = Client::connect(port).unwrap();
        let mut get =
            |host: &str, path: &str| client.send(&Request::get(host, path).key(key)).unwrap();
        let mut problems = Vec::new();
        for (app, known) in book.all("site") {
            let host = format!("{app}.localhost");
            let (index, asset) = (get(&host, "/"), get(&host, "/asset.js"));
            let served = match (index.status, asset.status) {
                (404, 404) => "-".to_owned(),
                (200, 200) => {
                    let mark = generation(&index.text());
                    if mark != generation(&asset.text()) {
                        problems.push(format!("torn: {app} serves two generations"));
                    }
                    format!("{mark},{},{}", hex(&index.body), hex(&asset.body))
                }
                other => format!("answers {other:?}"),
            };
            if served != known.certain {
                problems.push(format!("lost: {app} is {}, serves {served}", known.certain));
            }
        }
        for (alias, known) in book.all("alias") {
            let answer = get(&format!("{alias}.localhost"), "/");
            let leads = answer.field("location").unwrap_or("-");
            if leads != known.certain {
                problems.push(format!("lost: {alias} is {}, leads to {leads}", known.certain));
            }
        }
        for (name, known) in book.all("setting") {
            let answer = get("admin.localhost", &format!("/api/settings/{name}")).json();
            let value = answer["data"]["value"].to_string();
            if known.certain != "-" && value != known.certain {
                problems.push(format!("lost: {name} is {}, reads {value}", known.certain));
            }
        }
        let keys = get("admin.localhost", "/api/keys").json();
        let keys: Vec<&str> = keys["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|key| key["name"].as_str())
            .collect();
        for (name, known) in book.all("key") {
            let listed = keys.iter().filter(|other| **other == name).count();
            if listed != usize::from(known.certain != "-") {
                problems.push(format!("lost: {name} is {}, listed {listed} times", known.certain));
            }
        }
        self.took += watch.elapsed();
        problems
    }
}

/// The word after `generation `.
fn generation(text: &str) -> String {
    let rest = text.split_once("generation ").map_or("", |(_, rest)| rest);
    rest.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect()
}

/// What the tables hold, by the names of the ledger.
fn everything(database: &Connection) -> HashMap<String, String> {
    let mut found = HashMap::new();
    for (kind, sql) in [
        ("alias", "SELECT name, target FROM alias WHERE kind = 'redirect'"),
        ("setting", "SELECT name, value FROM setting"),
        ("key", "SELECT name, 'there' FROM api_key"),
    ] {
        let mut query = database.prepare(sql).unwrap();
        let mut rows = query.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let (name, value): (String, String) = (row.get(0).unwrap(), row.get(1).unwrap());
            found.insert(format!("{kind}/{name}"), value);
        }
    }
    let mut sites = database
        .prepare(
            "SELECT alias.name, hosting_file.path, hosting_file.hash FROM alias \
             JOIN hosting_active ON hosting_active.app = alias.app \
             JOIN hosting_file ON hosting_file.deployment = hosting_active.deployment \
             WHERE path IN ('index.html', 'asset.js') ORDER BY alias.name, path DESC",
        )
        .unwrap();
    let mut rows = sites.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (name, path): (String, String) = (row.get(0).unwrap(), row.get(1).unwrap());
        let hash: Vec<u8> = row.get(2).unwrap();
        let sum: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let site: &mut String = found.entry(format!("site/{name}")).or_default();
        if path == "index.html" {
            let content = content_of(database, &hash).unwrap_or_default();
            *site = format!("{},{sum}", generation(&String::from_utf8_lossy(&content)));
        } else {
            *site = format!("{site},{sum}");
        }
    }
    found
}

/// Files of deployments whose content is not there, or is not what its hash says.
fn contents(database: &Connection) -> Vec<String> {
    // Of those that are complete: the content of a pending one is still on its way.
    let sql = "SELECT DISTINCT hash, size FROM hosting_file \
               WHERE deployment IN (SELECT id FROM hosting_deployment)";
    let mut used = database.prepare(sql).unwrap();
    let used = used.query_map([], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?)));
    let mut problems = Vec::new();
    for (hash, size) in used.unwrap().map(Result::unwrap) {
        let name: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        match content_of(database, &hash) {
            None => problems.push(format!("torn: a deployment lacks the content {name}")),
            Some(content) if hex(&content) != name || content.len() as i64 != size => {
                problems.push(format!("torn: the content {name} is something else"));
            }
            Some(_) => {}
        }
    }
    problems
}

/// Statements that count what a deploy left half done.
const WHOLE: [(&str, &str); 6] = [
    (
        "a deployment with fewer files, or more, than it says",
        "SELECT count(*) FROM hosting_deployment AS d WHERE file_count <> \
         (SELECT count(*) FROM hosting_file WHERE deployment = d.id)",
    ),
    (
        // One that was not activated yet is pending, and thrown away after an hour.
        "files of no deployment, nor of a pending one",
        "SELECT count(*) FROM hosting_file WHERE deployment NOT IN \
         (SELECT id FROM hosting_deployment UNION SELECT id FROM hosting_pending)",
    ),
    (
        "an app that serves a deployment which is not there, or another app's",
        "SELECT count(*) FROM hosting_active AS a WHERE NOT EXISTS \
         (SELECT 1 FROM hosting_deployment WHERE id = a.deployment AND app = a.app)",
    ),
    (
        "an app whose newest deployment is not the one that it serves",
        "SELECT count(*) FROM hosting_deployment AS d WHERE version = \
         (SELECT max(version) FROM hosting_deployment WHERE app = d.app) \
         AND id NOT IN (SELECT deployment FROM hosting_active)",
    ),
    (
        "a version that is missing between others",
        "SELECT count(*) FROM (SELECT app FROM hosting_deployment GROUP BY app \
         HAVING max(version) - min(version) + 1 <> count(*))",
    ),
    (
        "a deployment of no app",
        "SELECT count(*) FROM hosting_deployment WHERE app NOT IN (SELECT id FROM app)",
    ),
];
