//! SQL of the owner's: what it reads, what it changes, and everything that it cannot do.

use fazt_sdk::prelude::*;
use fazt_testkit::{BuiltIn, TestKernel};
use serde_json::{Value, json};

use crate::names::post;
use crate::support::{ask_with_key, key};

/// A plugin with one table.
const NOTER: BuiltIn = BuiltIn { name: "noter", root: fazt_sdk::export::root_of::<Noter> };

#[derive(Debug, Default)]
struct Noter;

impl Plugin for Noter {
    fn manifest(&self) -> Manifest {
        Manifest::new("noter", "1").migrations(vec![Migration {
            name: "0001_note".into(),
            sql: "CREATE TABLE noter_note (id INTEGER PRIMARY KEY, text TEXT, data BLOB, size REAL) STRICT;"
                .into(),
        }])
    }

    fn start(&self, _: Host) -> Result<Started> {
        Ok(Started::new())
    }
}

async fn world() -> TestKernel {
    let node = TestKernel::with(vec![NOTER]).await.unwrap();
    node.app("blog").await.unwrap();
    write(&node, "INSERT INTO noter_note (text, data, size) VALUES ('one', x'00ff', 1.5), (NULL, NULL, 9e999)")
        .await
        .unwrap();
    node
}

async fn read(node: &TestKernel, query: &str) -> Result<Value> {
    post(node, "/api/sql", json!({ "query": query })).await
}

async fn write(node: &TestKernel, query: &str) -> Result<Value> {
    post(node, "/api/sql", json!({ "query": query, "write": true })).await
}

#[tokio::test]
async fn values_keep_their_types() {
    let node = world().await;
    let answer = read(&node, "SELECT id, text, data, size AS s, id FROM noter_note").await.unwrap();
    assert_eq!(answer["columns"], json!(["id", "text", "data", "s", "id"]));
    assert_eq!(
        answer["rows"],
        json!([[1, "one", { "bytes": 2, "hex": "00ff" }, 1.5, 1], [2, null, null, "inf", 2]])
    );
    assert_eq!((&answer["count"], &answer["truncated"]), (&json!(2), &json!(false)));
    assert_eq!(answer["changed"], json!(null));
    let big = read(&node, "SELECT 9007199254740992, 9007199254740993, -9223372036854775807 - 1");
    assert_eq!(
        big.await.unwrap()["rows"][0],
        json!([9_007_199_254_740_992_i64, "9007199254740993", "-9223372036854775808"])
    );
    let long = read(&node, "SELECT zeroblob(1000)").await.unwrap();
    assert_eq!(long["rows"][0][0]["bytes"], 1_000);
    assert_eq!(long["rows"][0][0]["hex"].as_str().unwrap().len(), 512);
}

#[tokio::test]
async fn an_answer_has_bounds() {
    let node = world().await;
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    let answer = read(&node, many).await.unwrap();
    assert_eq!((&answer["count"], &answer["truncated"]), (&json!(1_000), &json!(true)));
    let some = json!({ "query": many, "limit": 7 });
    assert_eq!(post(&node, "/api/sql", some).await.unwrap()["count"], 7);
    for limit in [0, 10_001] {
        let wrong = post(&node, "/api/sql", json!({ "query": "SELECT 1", "limit": limit })).await;
        assert_eq!(wrong.unwrap_err().code(), "INVALID");
    }
    // Rows end where the bytes do.
    let wide = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT printf('%.*c', 1000000, 'x') FROM n";
    let answer = read(&node, wide).await.unwrap();
    assert_eq!((&answer["count"], &answer["truncated"]), (&json!(4), &json!(true)));
    let huge = read(&node, "SELECT printf('%.*c', 5000000, 'x')").await.unwrap_err();
    assert_eq!(huge.kind(), ErrorKind::TooLarge);
    let text = format!("SELECT '{}'", "x".repeat(70_000));
    assert_eq!(read(&node, &text).await.unwrap_err().kind(), ErrorKind::TooLarge);
}

/// The connection decides, whatever the text looks like.
#[tokio::test]
async fn what_only_reads_can_only_read() {
    let node = world().await;
    let path = node.directory().join("stolen.db");
    let into = format!("VACUUM INTO '{}'", path.display());
    let attach = format!("ATTACH '{}' AS other", path.display());
    for query in [
        "DELETE FROM noter_note",
        "  /* SELECT */ delete from noter_note",
        "WITH x AS (SELECT 1) DELETE FROM noter_note",
        "REPLACE INTO noter_note (id) VALUES (1)",
        "INSERT INTO noter_note (id) VALUES (7) RETURNING id",
        "UPDATE noter_note SET text = 'x'",
        "DROP TABLE noter_note",
        "CREATE TABLE noter_more (x)",
        "CREATE TEMP TABLE x (y)",
        "CREATE TEMP TRIGGER t AFTER INSERT ON noter_note BEGIN SELECT 1; END",
        "ALTER TABLE noter_note ADD COLUMN x",
        "PRAGMA query_only = OFF",
        "PRAGMA user_version",
        "SELECT * FROM pragma_table_info('app')",
        &into,
        &attach,
        "DETACH main",
        "VACUUM",
        "ANALYZE",
        "REINDEX",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT x",
        "SELECT load_extension('x')",
        "SELECT * FROM sqlite_stat1",
        "SELECT 1; SELECT 2",
        "SELECT 1; DELETE FROM noter_note",
    ] {
        let error = read(&node, query).await.unwrap_err();
        assert!(["SQL_REFUSED", "SQL_WRONG"].contains(&error.code()), "{query}: {error}");
        assert_eq!(error.kind().http_status(), 400, "{query}");
    }
    assert!(!path.exists());
    let rows = read(&node, "SELECT count(*), group_concat(text) FROM noter_note").await.unwrap();
    assert_eq!(rows["rows"], json!([[2, "one"]]));
}

#[tokio::test]
async fn writing_changes_rows_of_plugins_and_nothing_else() {
    let node = world().await;
    let changed = write(&node, "UPDATE noter_note SET text = 'two'").await.unwrap();
    assert_eq!((&changed["changed"], &changed["columns"]), (&json!(2), &json!([])));
    let returned =
        write(&node, "DELETE FROM noter_note WHERE id = 1 RETURNING text").await.unwrap();
    assert_eq!((&returned["changed"], &returned["rows"]), (&json!(1), &json!([["two"]])));
    for query in [
        "INSERT INTO api_key (id, name, hash, scopes, created_at) VALUES ('x', 'x', zeroblob(32), 7, 0)",
        "INSERT INTO login_link (hash, expires_at) VALUES (zeroblob(32), 9999999999999)",
        "UPDATE owner SET password = 'x'",
        "UPDATE meta SET value = x'00'",
        "DELETE FROM app",
        "UPDATE alias SET app = NULL",
        "DELETE FROM setting",
        "DELETE FROM event",
        "DROP TABLE noter_note",
        "PRAGMA synchronous = OFF",
        "VACUUM",
        "COMMIT",
        "ROLLBACK",
        "DELETE FROM sqlite_schema",
        "DELETE FROM noter_note; DELETE FROM noter_note",
        // Nothing would stop a long read on the writer.
        "SELECT 1",
    ] {
        let error = write(&node, query).await.unwrap_err();
        assert!(["SQL_REFUSED", "SQL_WRONG"].contains(&error.code()), "{query}: {error}");
    }
    let left = read(&node, "SELECT id, text FROM noter_note").await.unwrap();
    assert_eq!(left["rows"], json!([[2, "two"]]));
    // One that fails midway leaves nothing.
    let failed = "INSERT INTO noter_note (id) VALUES (5), (2)";
    assert_eq!(write(&node, failed).await.unwrap_err().kind(), ErrorKind::Conflict);
    let count = read(&node, "SELECT count(*) FROM noter_note").await.unwrap();
    assert_eq!(count["rows"], json!([[1]]));
}

#[tokio::test]
async fn credentials_read_as_null_wherever_they_are_asked_for() {
    let node = world().await;
    node.kernel().set_credentials("me", "long enough 1").await.unwrap();
    key(&node, &["admin"], None).await;
    node.operate(Method::Post, "/api/login-link", json!(null)).await.unwrap();
    for (query, nulls) in [
        ("SELECT username, password FROM owner", json!([["me", null]])),
        ("SELECT DISTINCT o.PASSWORD FROM owner AS o", json!([[null]])),
        ("SELECT hash FROM api_key", json!([[null]])),
        ("SELECT max(hash) FROM login_link", json!([[null]])),
        ("SELECT hex(coalesce(hash, x'00')) FROM login_link ORDER BY hash", json!([["00"]])),
        ("SELECT count(*) FROM api_key WHERE hash IS NOT NULL", json!([[0]])),
        ("SELECT count(*) FROM login_link WHERE hash > x'00'", json!([[0]])),
        ("SELECT name FROM api_key", json!([["test"]])),
        ("SELECT count(value) FROM meta", json!([[0]])),
        ("SELECT x FROM (SELECT value AS x FROM meta WHERE key = 'sealing_key')", json!([[null]])),
    ] {
        assert_eq!(read(&node, query).await.unwrap()["rows"], nulls, "{query}");
    }
    let all = read(&node, "SELECT * FROM api_key JOIN owner").await.unwrap();
    assert!(!all.to_string().contains("argon2"), "{all}");
}

#[tokio::test]
async fn only_the_owner_and_admin_keys_run_sql() {
    let node = world().await;
    let body = json!({ "query": "SELECT 1" }).to_string();
    for (scopes, app, status) in [
        (&["admin"][..], None, 200),
        (&["read", "deploy"], None, 403),
        (&["read", "deploy", "admin"], Some("blog"), 403),
    ] {
        let (_, key) = key(&node, scopes, app).await;
        let answer = ask_with_key(&node, &key, Method::Post, "/api/sql", &body).await;
        assert_eq!(answer.status, status, "{scopes:?} {app:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_never_ends_is_ended() {
    let node = world().await;
    let endless =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let error = read(&node, endless).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    assert!(error.message().contains("5 seconds"), "{error}");
}
