//! Deploys by hashes: what is sent, what breaks off and goes on, and what comes back.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::front::{Front, Weather};
use crate::home::{Home, Node, get};

const MIB: usize = 1024 * 1024;

/// A node, and a home that deploys to it.
fn world() -> (Home, Node, String) {
    let home = Home::new();
    let node = home.starts("server start --db node.db --port 0", "port  ");
    let key =
        home.command("server create-key --name ci --scopes deploy,read --db node.db --format json");
    let key = json(key);
    (home, node, key["key"].as_str().unwrap().to_owned())
}

/// What a command that works answers.
fn json(mut command: std::process::Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Bytes that nothing else has, for a seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

#[test]
fn of_a_thousand_files_only_the_changed_ones_are_sent() {
    let (home, node, _) = world();
    let site = home.path("site");
    fs::create_dir(&site).unwrap();
    fs::write(site.join("index.html"), "home").unwrap();
    for number in 1..1_000 {
        fs::write(site.join(format!("{number}.txt")), format!("page {number}")).unwrap();
    }
    let deploy = || json(home.command("app deploy site --db node.db --format json"));
    let first = deploy();
    assert_eq!((&first["new_files"], &first["file_count"]), (&1_000.into(), &1_000.into()));
    for number in [1, 500, 999] {
        fs::write(site.join(format!("{number}.txt")), format!("new {number}")).unwrap();
    }
    let second = deploy();
    assert_eq!(second["new_files"], 3);
    assert_eq!(second["sent_bytes"], "new 1new 500new 999".len());
    assert_eq!((&second["version"], &second["file_count"]), (&2.into(), &1_000.into()));
    assert!(get(node.port(), "site.localhost", "/500.txt").ends_with("new 500"));
    assert!(get(node.port(), "site.localhost", "/501.txt").ends_with("page 501"));
    assert_eq!(deploy()["sent_bytes"], 0);
    assert!(node.stops().success());
}

/// Twelve files that are streamed one by one.
fn large_site(home: &Home) {
    fs::create_dir(home.path("large")).unwrap();
    for number in 0..12 {
        let name = format!("large/{number}.bin");
        fs::write(home.path(&name), noise(number + 1, 2 * MIB)).unwrap();
    }
}

fn deploys_through(home: &Home, port: u16, key: &str) -> Child {
    let words = format!("app deploy large --to http://localhost:{port} --format json");
    let mut command = home.command(&words);
    command.env("FAZT_TOKEN", key).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn a_deploy_that_was_killed_goes_on_where_it_stopped() {
    let (home, node, key) = world();
    large_site(&home);
    let front = Front::of(node.port(), Weather::StopsAfter(16 * MIB as u64));
    let mut first = deploys_through(&home, front.port, &key);
    front.waits_for(16 * MIB as u64);
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(get(node.port(), "large.localhost", "/0.bin").starts_with("HTTP/1.1 404"));

    let mut again = home
        .command(&format!("app deploy large --to http://localhost:{} --format json", node.port()));
    again.env("FAZT_TOKEN", &key);
    let again = json(again);
    let sent = again["new_files"].as_u64().unwrap();
    assert!((1..12).contains(&sent), "sent {sent} of 12 again");
    assert_eq!(again["sent_bytes"], sent * 2 * MIB as u64);
    for number in 0..12 {
        let path = format!("/{number}.bin");
        assert!(head(node.port(), &path).starts_with("HTTP/1.1 200"), "{path}");
    }
    assert!(node.stops().success());
}

/// The head of what the large site answers.
fn head(port: u16, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        stream,
        "HEAD {path} HTTP/1.1\r\nHost: large.localhost:{port}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn who_stops_a_deploy_is_told_how_things_are() {
    let (home, node, key) = world();
    large_site(&home);
    let front = Front::of(node.port(), Weather::StopsAfter(8 * MIB as u64));
    let child = deploys_through(&home, front.port, &key);
    front.waits_for(8 * MIB as u64);
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("stopped: the app serves what it served before"), "{said}");
    assert!(node.stops().success());
}

#[test]
fn a_connection_that_breaks_is_tried_again() {
    let (home, node, key) = world();
    large_site(&home);
    let front = Front::of(node.port(), Weather::Breaks { connections: 5, bytes: 3 * MIB as u64 });
    let output = deploys_through(&home, front.port, &key).wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(head(node.port(), "/11.bin").starts_with("HTTP/1.1 200"));
    assert!(node.stops().success());
}

#[test]
fn what_was_deployed_comes_back_byte_for_byte() {
    let (home, node, _) = world();
    let site = home.path("site");
    for (path, content) in [
        ("index.html", b"<h1>hi</h1>".to_vec()),
        ("empty.txt", Vec::new()),
        ("a b/ü+%.txt", b"odd names".to_vec()),
        ("private/members.html", b"for members".to_vec()),
        ("_redirects", b"/old /new 301\n".to_vec()),
        ("large.bin", noise(7, 3 * MIB + 1)),
    ] {
        let file = site.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    json(home.command("app deploy site --include-private --db node.db --format json"));
    let pulled = json(home.command("app pull site back --db node.db --format json"));
    assert_eq!(pulled["written_files"], 6);
    assert_same(&site, &home.path("back"));
    let pulled = json(home.command("app pull site back --db node.db --format json"));
    assert_eq!(pulled["written_files"], 0);

    fs::write(home.path("back/index.html"), "mine").unwrap();
    fs::write(site.join("index.html"), "second").unwrap();
    json(home.command("app deploy site --include-private --db node.db --format json"));
    let refused = home.command("app pull site back --db node.db").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("index.html") && said.contains("--force"), "{said}");
    assert_eq!(fs::read(home.path("back/index.html")).unwrap(), b"mine");
    json(home.command("app pull site back --force --db node.db --format json"));
    assert_same(&site, &home.path("back"));
    json(home.command("app pull site first --version 1 --db node.db --format json"));
    assert_eq!(fs::read(home.path("first/index.html")).unwrap(), b"<h1>hi</h1>");
    let missing = home.command("app pull site --version 9 --db node.db").output().unwrap();
    assert_eq!(missing.status.code(), Some(3));
    assert!(node.stops().success());
}

#[track_caller]
fn assert_same(left: &Path, right: &Path) {
    let files = |root: &Path| {
        let mut found = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let content = fs::read(&path).unwrap();
                    found.push((path.strip_prefix(root).unwrap().to_owned(), content));
                }
            }
        }
        found.sort();
        found
    };
    assert!(files(left) == files(right));
}

#[test]
fn a_closed_cartridge_takes_a_deploy_and_gives_it_back() {
    let home = Home::new();
    fs::create_dir(home.path("site")).unwrap();
    fs::write(home.path("site/index.html"), "closed").unwrap();
    let node = home.starts("server start --db node.db --port 0", "port  ");
    assert!(node.stops().success());
    let first = json(home.command("app deploy site --db node.db --format json"));
    assert_eq!((&first["new_files"], &first["version"]), (&1.into(), &1.into()));
    let pulled = json(home.command("app pull site --db node.db --format json --force"));
    assert_eq!(pulled["written_files"], 0);
}

#[test]
fn a_preview_leaves_what_is_served_alone() {
    let (home, node, _) = world();
    fs::create_dir(home.path("site")).unwrap();
    fs::write(home.path("site/index.html"), "served").unwrap();
    json(home.command("app deploy site --db node.db --format json"));
    fs::write(home.path("site/index.html"), "to be seen").unwrap();
    let preview =
        json(home.command("app deploy site --preview --message draft --db node.db --format json"));
    assert!(get(node.port(), "site.localhost", "/").ends_with("served"));
    let url = preview["preview_url"].as_str().unwrap();
    let (_, host) = url.split_once("//").unwrap();
    let host = host.split(':').next().unwrap();
    assert!(host.ends_with("--site.localhost"), "{url}");
    let listed = json(home.command("app deployments site --db node.db --format json"));
    assert_eq!(listed[0]["source"]["message"], "draft");
    assert_eq!(listed[0]["active"], false);
    assert!(node.stops().success());
}

#[test]
fn a_check_says_what_a_deploy_would_and_sends_nothing() {
    let mut home = Home::new();
    fs::create_dir(home.path("site")).unwrap();
    home.types("app validate site");
    home.types("app validate nothing");
    fs::write(home.path("site/a.txt"), "x").unwrap();
    home.types("app validate site");
    fs::write(home.path("site/index.html"), "x").unwrap();
    home.types("app validate site --format json");
    fs::write(home.path("site/back\\slash.html"), "x").unwrap();
    home.types("app validate site");
    home.types("app validate site --to home");
    home.golden.check("validate");
    assert!(!home.path(".fazt").exists(), "nothing is made for a check");
}
