//! Clients that leave in the middle of an upload, and nodes that are killed in the middle of a deploy.

use std::time::Duration;

use fazt_tests::{Answer, Client, Home, Launch, Node, Random, Request, hex, wait_for};
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

#[test]
fn a_node_that_is_killed_during_a_deploy_has_the_old_site_or_the_new_one() {
    let home = Home::new();
    let names: Vec<String> =
        ["index.html".to_owned()].into_iter().chain((0..30).map(|n| format!("{n}.bin"))).collect();
    let mut served = 0;
    for version in 1..=12 {
        let node = home.start();
        let contents = contents_of(version);
        let files: Vec<(&str, &[u8])> =
            names.iter().map(String::as_str).zip(contents.iter().map(Vec::as_slice)).collect();
        let (port, key) = (node.port(), node.key(&["deploy"], None));
        // The last ones are left to finish.
        let patience = if version % 4 == 0 { 20_000 } else { version * 15 };
        let acknowledged = std::thread::scope(|scope| {
            let deploying = scope.spawn(|| deploy(port, &key, &files));
            let patience = Duration::from_millis(patience);
            wait_for(patience, || deploying.is_finished().then_some(()));
            node.kill();
            deploying.join().unwrap().is_some_and(|answer| answer.status == 200)
        });

        let node = home.start();
        let page = node.get("blog.localhost", "/");
        let now = if page.status == 200 { page.text().parse().unwrap() } else { 0 };
        assert!(now == served || now == version, "{now} is neither {served} nor {version}");
        assert!(!acknowledged || now == version, "what was acknowledged is there");
        served = now;
        if served > 0 {
            for (name, content) in names.iter().zip(contents_of(served)) {
                let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
                assert!(node.get("blog.localhost", &path).body == content, "{served} {name}");
            }
        }
        let verified = node.ask(&Request::admin("POST", "/api/system/cartridge/verify"));
        assert!(verified.is_success(), "{}", verified.text());
        assert!(node.stop().success());
    }
    assert_eq!(served, 12);
}

/// All steps of a deploy; nothing when the node went away in the middle.
fn deploy(port: u16, key: &str, files: &[(&str, &[u8])]) -> Option<Answer> {
    let send = |request: Request| Client::connect(port).ok()?.send(&request.key(key)).ok();
    let begin = Request::admin("POST", "/api/apps/blog/deployments").json(&list(files));
    let begun = send(begin)?.json();
    for (_, content) in files {
        send(put(content))?;
    }
    let id = begun["data"]["deployment_id"].as_str()?.to_owned();
    send(Request::admin("POST", &format!("/api/deployments/{id}/activate")))
}

fn contents_of(version: u64) -> Vec<Vec<u8>> {
    let file = |number| Random::new(version * 1_000 + number).bytes(20_000);
    let page = [version.to_string().into_bytes()];
    page.into_iter().chain((0..30).map(file)).collect()
}
