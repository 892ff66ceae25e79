//! Clients that leave in the middle of an upload, and nodes that are killed in the middle of a deploy.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use fazt_tests::{
    Answer, Client, Home, Launch, Node, Random, Request, Stopwatch, archive, hex, until, wait_for,
};
use serde_json::{Value, json};

fn info(node: &Node) -> Value {
    let info = node.ask(&Request::admin("GET", "/api/system/cartridge"));
    assert_eq!(info.status, 200, "{}", info.text());
    info.json()["data"].clone()
}

fn rows(info: &Value, table: &str) -> u64 {
    let tables = info["tables"].as_array().unwrap();
    tables.iter().find(|row| row["name"] == table).unwrap()["rows"].as_u64().unwrap()
}

fn list(files: &[(&str, &[u8])]) -> Value {
    let list: Vec<_> = files
        .iter()
        .map(|(path, content)| json!({"path": path, "sha256": hex(content), "size": content.len()}))
        .collect();
    json!({ "files": list })
}

fn begin(node: &Node, app: &str, files: &[(&str, &[u8])]) -> Value {
    let path = format!("/api/apps/{app}/deployments");
    let begun = node.ask(&Request::admin("POST", &path).json(&list(files)));
    assert_eq!(begun.status, 200, "{}", begun.text());
    begun.json()["data"].clone()
}

fn put(content: &[u8]) -> Request {
    Request::admin("PUT", &format!("/api/blobs/{}", hex(content)))
        .body("application/octet-stream", content)
}

#[test]
fn a_client_that_leaves_in_the_middle_gets_its_space_back() {
    let home = Home::new();
    let node = Launch::new(&home.db()).set("hosting.precompress_bytes_max=0").start();
    let key = node.key(&["deploy"], None);
    let content = Random::new(7).bytes(40_000_000);
    let begun = begin(&node, "blog", &[("large.bin", &content)]);
    assert_eq!(begun["missing"].as_array().unwrap().len(), 1);
    let bytes = put(&content).key(&key).bytes(node.port());
    for _ in 0..3 {
        let mut client = Client::connect(node.port()).unwrap();
        client.write(&bytes[..bytes.len() / 2]).unwrap();
        let arrived = wait_for(Duration::from_secs(20), || {
            (rows(&info(&node), "blob_chunk") > 0).then_some(())
        });
        assert!(arrived.is_some(), "nothing of it arrived");
        drop(client);
    }
    let clean = wait_for(Duration::from_secs(10), || {
        let info = info(&node);
        (rows(&info, "blob_chunk") == 0 && rows(&info, "blob") == 0).then_some(())
    });
    assert!(clean.is_some(), "{}", info(&node));
    assert!(node.ask(&put(&content)).is_success(), "and it can be sent again");
}

/// Resets the connection when it is dropped, as a client does whose machine is gone.
fn resetting(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let at_once = Some(Duration::ZERO);
    rustix::net::sockopt::set_socket_linger(&stream, at_once).unwrap();
    stream
}

/// Bytes of files that the node has open and nobody can name any more.
fn scratch_bytes(node: &Node) -> u64 {
    let open = std::fs::read_dir(format!("/proc/{}/fd", node.pid())).unwrap();
    let bytes = open.filter_map(|entry| {
        let entry = entry.ok()?;
        let target = std::fs::read_link(entry.path()).ok()?;
        let is_scratch = target.to_string_lossy().ends_with(" (deleted)");
        is_scratch.then(|| std::fs::metadata(entry.path()).map_or(0, |file| file.len()))
    });
    bytes.sum()
}

/// Memory of the node, in bytes.
fn memory_bytes(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_client_that_resets_at_half_of_200_mb_gives_space_and_memory_back() {
    const MB: usize = 1_000_000;
    let home = Home::new();
    let node = home.start();
    assert_eq!(node.deploy("blog", &[("index.html", "old")]).status, 200);
    let key = node.key(&["deploy"], None);
    let (before, memory) = (info(&node), memory_bytes(&node));
    let head = format!(
        "POST /api/deploy?site_name=blog HTTP/1.1\r\nhost: admin.localhost\r\n\
         authorization: Bearer {key}\r\ncontent-type: application/zip\r\n\
         content-length: {}\r\n\r\n",
        200 * MB
    );
    let block = Random::new(3).bytes(MB);
    for _ in 0..2 {
        let mut stream = resetting(node.port());
        stream.write_all(head.as_bytes()).unwrap();
        for _ in 0..100 {
            stream.write_all(&block).unwrap();
        }
        until(Duration::from_secs(20), "half of it is there", || {
            scratch_bytes(&node) > 90 * MB as u64
        });
        assert!(memory_bytes(&node) < memory + 16 * MB as u64, "an upload is not kept in memory");
        drop(stream);
        until(Duration::from_secs(10), "its space is given back", || {
            scratch_bytes(&node) < MB as u64
        });
    }
    until(Duration::from_secs(10), "its memory is given back", || {
        memory_bytes(&node) < memory + 16 * MB as u64
    });
    for table in ["blob", "blob_chunk", "hosting_deployment", "hosting_file", "hosting_pending"] {
        assert_eq!(rows(&info(&node), table), rows(&before, table), "{table}");
    }
    assert_eq!(node.get("blog.localhost", "/").text(), "old");
    assert!(node.stop().success());
}

/// How often a deploy of either kind is killed.
const KILLS: u32 = 20;

/// A whole deploy of version `version`; nothing when the node went away in the middle.
type Deploy = fn(u16, &str, &[(&str, &[u8])]) -> Option<Answer>;

/// The kills are spread over the time that a whole deploy takes, so that they fall into every step.
#[test]
fn a_node_that_is_killed_at_any_of_40_points_of_a_deploy_has_the_old_site_or_the_new_one() {
    let home = Home::new();
    let names: Vec<String> =
        ["index.html".to_owned()].into_iter().chain((0..30).map(|n| format!("{n}.bin"))).collect();
    let (mut served, mut version, mut changed) = (0, 0, 0);
    for (kind, deploy) in [("list", by_list as Deploy), ("archive", by_archive)] {
        let mut whole = Duration::ZERO;
        for point in 0..=KILLS {
            version += 1;
            let node = home.start();
            let contents = contents_of(version);
            let files: Vec<(&str, &[u8])> =
                names.iter().map(String::as_str).zip(contents.iter().map(Vec::as_slice)).collect();
            let (port, key) = (node.port(), node.key(&["deploy"], None));
            let watch = Stopwatch::start();
            // The first one is left alone, and says how long it takes.
            let patience = match point {
                0 => Duration::from_secs(60),
                // Whatever is quicker than the first one was ends before the last points.
                _ => whole * point / KILLS,
            };
            let acknowledged = std::thread::scope(|scope| {
                let deploying = scope.spawn(|| deploy(port, &key, &files));
                wait_for(patience, || deploying.is_finished().then_some(()));
                if point == 0 {
                    whole = watch.elapsed();
                }
                node.kill();
                deploying.join().unwrap().is_some_and(|answer| answer.status == 200)
            });
            assert!(point > 0 || acknowledged, "{kind}: nobody was in its way");
            is_sound(&home);

            let node = home.start();
            let page = node.get("blog.localhost", "/");
            let now = if page.status == 200 { page.text().parse().unwrap() } else { 0 };
            assert!(now == served || now == version, "{now} is neither {served} nor {version}");
            assert!(!acknowledged || now == version, "what was acknowledged is there");
            changed += u32::from(now == version);
            served = now;
            let mut client = node.client();
            for (name, content) in names.iter().zip(contents_of(served)) {
                let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
                let answer = client.send(&Request::get("blog.localhost", path)).unwrap();
                assert!(answer.body == content, "{kind} {point}: {name} of {served}");
            }
            assert!(node.stop().success());
        }
    }
    println!("deploys: {} killed, {changed} of them done, 0 torn, 0 lost", 2 * KILLS);
}

/// Looks at a copy of what the crash left.
fn is_sound(home: &Home) {
    let copy = Home::new();
    for name in ["data.db", "data.db-wal"] {
        if home.path(name).exists() {
            std::fs::copy(home.path(name), copy.path(name)).unwrap();
        }
    }
    let database = rusqlite::Connection::open(copy.db()).unwrap();
    let sound: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    let mut strays = database.prepare("PRAGMA foreign_key_check").unwrap();
    assert!(!strays.exists([]).unwrap(), "a row refers to one that is not there");
}

/// All steps of a deploy by a list of hashes.
fn by_list(port: u16, key: &str, files: &[(&str, &[u8])]) -> Option<Answer> {
    let send = |request: Request| Client::connect(port).ok()?.send(&request.key(key)).ok();
    let begin = Request::admin("POST", "/api/apps/blog/deployments").json(&list(files));
    let begun = send(begin)?.json();
    for (_, content) in files {
        send(put(content))?;
    }
    let id = begun["data"]["deployment_id"].as_str()?.to_owned();
    send(Request::admin("POST", &format!("/api/deployments/{id}/activate")))
}

/// The same as an archive, in one request.
fn by_archive(port: u16, key: &str, files: &[(&str, &[u8])]) -> Option<Answer> {
    Client::connect(port).ok()?.send(&Request::deploy("blog", archive(files)).key(key)).ok()
}

/// More than what an archive may hold in memory at once, so that it is stored in several writes.
fn contents_of(version: u64) -> Vec<Vec<u8>> {
    let file = |number| {
        let mut random = Random::new(version * 1_000 + number);
        let pattern = random.bytes(1_000);
        let mut content = pattern.repeat(if number % 10 == 0 { 400 } else { 150 });
        content.truncate(content.len() - usize::try_from(number).unwrap());
        content
    };
    let page = [version.to_string().into_bytes()];
    page.into_iter().chain((0..30).map(file)).collect()
}
