//! Keys that do not fit, and archives that mean harm: refused, and nothing changes.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;

use fazt_tests::{Client, Home, Launch, Node, Random, Request, archive, skipped};
use serde_json::{Value, json};

/// Rows of every table that a deploy or an administrator writes to.
fn rows(db: &Path) -> Vec<(String, i64)> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = rusqlite::Connection::open_with_flags(db, flags).unwrap();
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        (table.to_owned(), database.query_row(&sql, [], |row| row.get(0)).unwrap())
    };
    [
        "app",
        "alias",
        "blob",
        "blob_chunk",
        "hosting_deployment",
        "hosting_file",
        "hosting_active",
        "api_key",
        "setting",
    ]
    .map(count)
    .into()
}

fn two_apps(home: &Home) -> Node {
    let node = home.start();
    for app in ["alpha", "beta"] {
        assert_eq!(node.deploy(app, &[("index.html", app)]).status, 200);
        assert_eq!(node.deploy(app, &[("index.html", format!("{app} two"))]).status, 200);
    }
    node
}

#[test]
fn keys_open_what_they_are_for_and_nothing_else() {
    let home = Home::new();
    let node = two_apps(&home);
    let alpha = node.key(&["read", "deploy", "admin"], Some("alpha"));
    let reads = node.key(&["read"], None);
    let deploys = node.key(&["deploy"], None);
    let everything = node.key(&["read", "deploy", "admin"], None);
    let last = if everything.ends_with('x') { 'y' } else { 'x' };
    let wrong = format!("{}{last}", &everything[..everything.len() - 1]);
    let site = || archive(&[("index.html", "taken over")]);
    let post = |path: &str, input: Value| Request::admin("POST", path).json(&input);
    let before = rows(&home.db());
    let victim = everything.split('_').nth(1).unwrap();
    let remove_key = Request::admin("DELETE", &format!("/api/keys/{victim}"));
    let www = json!({"name": "www", "app": "beta"});
    let redirect = json!({"name": "www", "redirect": "https://example.org/"});
    let cases = [
        ("no key, deploy", Request::deploy("alpha", site()), 401),
        ("no key, read", Request::admin("GET", "/api/apps"), 401),
        ("wrong key, deploy", Request::deploy("alpha", site()).key(&wrong), 401),
        ("wrong key, read", Request::admin("GET", "/api/apps").key(&wrong), 401),
        ("no key at all", Request::deploy("alpha", site()).key("fzt_"), 401),
        (
            "another scheme",
            Request::deploy("alpha", site()).field("authorization", "Basic YTpi"),
            401,
        ),
        ("two keys", Request::deploy("alpha", site()).key(&everything).key(&everything), 401),
        ("alpha's key, deploy to beta", Request::deploy("beta", site()).key(&alpha), 403),
        ("alpha's key, deploy to a new app", Request::deploy("gamma", site()).key(&alpha), 403),
        (
            "alpha's key, roll beta back",
            post("/api/apps/beta/rollback", json!({})).key(&alpha),
            403,
        ),
        ("alpha's key, remove beta", Request::admin("DELETE", "/api/apps/beta").key(&alpha), 403),
        (
            "alpha's key, beta's alias",
            Request::admin("DELETE", "/api/aliases/beta").key(&alpha),
            403,
        ),
        ("alpha's key, name for beta", post("/api/aliases", www.clone()).key(&alpha), 403),
        ("alpha's key, redirect", post("/api/aliases", redirect).key(&alpha), 403),
        (
            "alpha's key, setting",
            Request::admin("PUT", "/api/settings/server.domain")
                .json(&json!({"value": "x.org"}))
                .key(&alpha),
            403,
        ),
        ("alpha's key, new key", post("/api/keys", json!({"name": "more"})).key(&alpha), 403),
        ("alpha's key, backup", Request::admin("GET", "/api/system/backup").key(&alpha), 403),
        (
            "alpha's key, plugin",
            Request::admin("POST", "/api/plugins")
                .body("application/octet-stream", "x")
                .key(&alpha),
            403,
        ),
        (
            "alpha's key, password",
            Request::admin("PUT", "/api/credentials")
                .json(&json!({"username": "eve", "password": "a long password"}))
                .key(&alpha),
            403,
        ),
        ("alpha's key, login link", post("/api/login-link", json!({})).key(&alpha), 403),
        (
            "alpha's key, beta's deployments",
            Request::admin("GET", "/api/apps/beta/deployments").key(&alpha),
            403,
        ),
        (
            "alpha's key, beta's files",
            Request::admin("GET", "/api/apps/beta/files").key(&alpha),
            403,
        ),
        ("alpha's key, beta", Request::admin("GET", "/api/apps/beta").key(&alpha), 403),
        ("alpha's key, all keys", Request::admin("GET", "/api/keys").key(&alpha), 403),
        ("alpha's key, another key", remove_key.clone().key(&alpha), 403),
        ("read, another key", remove_key.key(&reads), 403),
        ("alpha's key, plugins", post("/api/plugins/hosting/disable", json!({})).key(&alpha), 403),
        (
            "alpha's key, no plugin",
            Request::admin("DELETE", "/api/plugins/hosting").key(&alpha),
            403,
        ),
        ("read, deploy", Request::deploy("alpha", site()).key(&reads), 403),
        ("read, rollback", post("/api/apps/alpha/rollback", json!({})).key(&reads), 403),
        ("read, alias", post("/api/aliases", www.clone()).key(&reads), 403),
        ("read, new key", post("/api/keys", json!({"name": "more"})).key(&reads), 403),
        ("read, keys", Request::admin("GET", "/api/keys").key(&reads), 403),
        ("read, backup", Request::admin("GET", "/api/system/backup").key(&reads), 403),
        (
            "read, plugin",
            Request::admin("POST", "/api/plugins")
                .body("application/octet-stream", "x")
                .key(&reads),
            403,
        ),
        ("deploy, alias", post("/api/aliases", www).key(&deploys), 403),
        ("deploy, remove", Request::admin("DELETE", "/api/apps/alpha").key(&deploys), 403),
        ("deploy, list", Request::admin("GET", "/api/apps").key(&deploys), 403),
        ("deploy, backup", Request::admin("GET", "/api/system/backup").key(&deploys), 403),
    ];
    let mut wrong = Vec::new();
    for (case, request, status) in &cases {
        let answer = node.send(request);
        if answer.status != *status {
            wrong.push(format!("{case}: {} instead of {status}: {}", answer.status, answer.text()));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(rows(&home.db()), before, "nothing changed");
    for app in ["alpha", "beta"] {
        assert_eq!(node.get(&format!("{app}.localhost"), "/").text(), format!("{app} two"));
    }
    assert_eq!(node.send(&Request::deploy("alpha", site()).key(&alpha)).status, 200, "its own app");
    let listed = node.send(&Request::admin("GET", "/api/apps").key(&alpha)).json();
    let names: Vec<_> = listed["data"].as_array().unwrap().iter().map(|app| &app["name"]).collect();
    assert_eq!(names, ["alpha"], "a key for one app sees one app");
    println!("keys: {} requests beyond their rights, all refused", cases.len());
    assert!(node.stop().success());
}

/// An address of this machine that is not loopback; nothing is sent to find it.
fn own_address() -> Option<SocketAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?;
    (!address.ip().is_loopback() && !address.ip().is_unspecified()).then_some(address)
}

#[test]
fn a_key_over_plain_http_from_elsewhere_is_refused() {
    let Some(mut address) = own_address() else {
        skipped("a key over plain HTTP from elsewhere", "this machine has loopback addresses only");
        return;
    };
    let home = Home::new();
    let node = Launch::new(&home.db()).host("0.0.0.0").start();
    let key = node.key(&["read", "deploy", "admin"], None);
    address.set_port(node.port());
    let list = Request::admin("GET", "/api/apps").key(&key);
    assert_eq!(node.send(&list).status, 200, "from this machine");
    let Ok(mut client) = Client::connect_to(address) else {
        skipped("a key over plain HTTP from elsewhere", "its own address does not answer");
        return;
    };
    let answer = client.send(&list).unwrap();
    assert_eq!((answer.status, &*answer.code()), (403, "PLAIN_HTTP"));
    let deploy = Request::deploy("taken", archive(&[("index.html", "x")])).key(&key);
    assert_eq!(Client::connect_to(address).unwrap().send(&deploy).unwrap().status, 403);
    let forged = list.field("x-forwarded-for", "127.0.0.1").field("x-forwarded-proto", "https");
    assert_eq!(Client::connect_to(address).unwrap().send(&forged).unwrap().status, 403);
    assert!(node.stop().success());
}

/// A link, as an archive may hold one.
fn with_link() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.add_symlink("link", "/etc/passwd", zip::write::SimpleFileOptions::default()).unwrap();
    zip.finish().unwrap().into_inner()
}

/// An archive with one byte of its content changed.
fn with_a_flipped_byte() -> Vec<u8> {
    let content = Random::new(9).bytes(10_000);
    let mut bytes = archive(&[("index.html", "fine"), ("flipped.bin", "")]);
    assert!(bytes.len() > 100);
    bytes = archive(&[("flipped.bin", &content)]);
    bytes[5_000] ^= 0x40;
    bytes
}

#[test]
fn hostile_archives_are_refused_by_name_and_leave_nothing() {
    let home = Home::new();
    let node = two_apps(&home);
    let key = node.key(&["deploy"], None);
    let good = archive(&[("index.html", "fine"), ("a.css", "b")]);
    let named = |name: &str| archive(&[("index.html", "fine"), (name, "evil")]);
    let bomb = archive(&[("bomb.bin", vec![0; 40_000_000])]);
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("climbs out", named("../evil.html"), 400, "../evil.html"),
        ("climbs out deep inside", named("a/b/../../../evil"), 400, "a/b/../../../evil"),
        ("starts at the root", named("/etc/evil"), 400, "/etc/evil"),
        ("backslashes", named("..\\evil"), 400, "evil"),
        ("a drive", named("C:evil"), 400, "C:evil"),
        ("a dot segment", named("a/./evil"), 400, "a/./evil"),
        ("an empty segment", named("a//evil"), 400, "a//evil"),
        ("a control character", named("a\nevil"), 400, "evil"),
        ("a file where a folder is", archive(&[("evil", "x"), ("evil/b", "x")]), 400, "evil"),
        ("a link", with_link(), 400, "link"),
        ("a wrong checksum", with_a_flipped_byte(), 400, "flipped.bin"),
        ("a bomb", bomb, 413, "bomb.bin"),
        ("cut short", good[..good.len() / 2].to_vec(), 400, ""),
        ("not an archive", b"<!doctype html>".repeat(50), 400, ""),
        ("nothing", Vec::new(), 400, ""),
        ("no files", archive::<&str, &str>(&[]), 400, ""),
        ("something before it", [vec![b'#'; 70_000], good.clone()].concat(), 400, ""),
        ("something behind it", [good, vec![b'#'; 70_000]].concat(), 400, ""),
    ];
    let before = rows(&home.db());
    let mut wrong = Vec::new();
    for (case, bytes, status, entry) in &cases {
        for app in ["alpha", "new-app"] {
            let answer = node.send(&Request::deploy(app, bytes.clone()).key(&key));
            if answer.status != *status || !answer.text().contains(entry) {
                wrong.push(format!("{case}: {} {}", answer.status, answer.text()));
            }
            if rows(&home.db()) != before {
                wrong.push(format!("{case} to {app} left something"));
            }
        }
        let served = node.get("alpha.localhost", "/");
        assert_eq!((served.status, &*served.text()), (200, "alpha two"), "{case}");
    }
    assert_eq!(wrong, Vec::<String>::new());
    println!("archives: {} hostile ones refused, twice each, 0 rows left", cases.len());
    assert!(node.stop().success());
}
