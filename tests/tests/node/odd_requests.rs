//! Well-formed requests that ask for more work than they are worth.

use std::net::TcpListener;
use std::time::Duration;

use fazt_tests::{Home, Node, Request, Stopwatch, open_files, until};
use serde_json::json;

/// A megabyte of zeros, as gzip packs it: a thousandth of that.
fn bomb() -> Vec<u8> {
    let zip = fazt_tests::archive(&[("zeros", vec![0; 1 << 20])]);
    // The same compressed bytes are in the archive: after a head of 30 bytes and the name.
    let deflated = &zip[30 + "zeros".len()..];
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], deflated].concat()
}

#[test]
fn a_compressed_body_is_not_unfolded_and_says_so() {
    let home = Home::new();
    let node = home.start();
    let key = node.key(&["read", "deploy", "admin"], None);
    let count = || {
        let apps = node.ask(&Request::admin("GET", "/api/apps")).json();
        apps["data"].as_array().unwrap().len()
    };
    let before = count();
    for coding in ["gzip", "br", "deflate", "zstd", "x-gzip", "gzip, gzip", "identity, gzip"] {
        for (path, kind) in [
            ("/api/apps", "application/json"),
            ("/api/deploy?site_name=blog", "application/zip"),
            ("/api/blobs", "application/vnd.fazt.blobs"),
            ("/login", "application/x-www-form-urlencoded"),
        ] {
            let request = Request::admin("POST", path).key(&key).field("content-encoding", coding);
            let answer = node.send(&request.body(kind, bomb()));
            assert_eq!(answer.status, 415, "{coding} {path}: {}", answer.text());
            assert_eq!(answer.field("accept-encoding"), Some("identity"), "{coding} {path}");
        }
    }
    assert_eq!(count(), before);
    let create =
        Request::admin("POST", "/api/apps").key(&key).field("content-encoding", "identity");
    let answer = node.send(&create.json(&json!({ "name": "plain" })));
    assert!(answer.is_success(), "{}", answer.text());
    // By its actual length, however it is packed.
    let large = json!({ "name": "x".repeat(2 << 20) });
    assert_eq!(node.send(&Request::admin("POST", "/api/apps").key(&key).json(&large)).status, 413);
    assert!(node.stop().success());
}

#[test]
fn many_parameters_are_refused_before_they_are_work() {
    let home = Home::new();
    let node = home.start();
    assert_eq!(node.deploy("blog", &[("index.html", "fine")]).status, 200);
    let query =
        |count: usize| -> String { (0..count).map(|number| format!("p{number}=1&")).collect() };
    let deep = format!("a{}=1", "[b]".repeat(2_000));
    for (what, query, admin, app) in [
        ("100,000 parameters", query(100_000), [414, 431], [414, 431]),
        ("500 parameters", query(500), [400; 2], [200; 2]),
        ("a deep one", deep, [400; 2], [200; 2]),
    ] {
        let watch = Stopwatch::start();
        let answer = node.ask(&Request::admin("GET", &format!("/api/apps?{query}")));
        assert!(admin.contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
        let answer = node.get("blog.localhost", &format!("/?{query}"));
        assert!(app.contains(&answer.status), "{what}: {}", answer.status);
        // Each of the two has 100 ms.
        assert!(watch.elapsed() < Duration::from_millis(200), "{what}: {:?}", watch.elapsed());
    }
    let many = node.ask(&Request::admin("GET", &format!("/api/apps?{}", query(401))));
    assert_eq!(many.code(), "TOO_MANY_PARAMETERS");
    assert!(node.stop().success());
}

#[test]
fn long_lists_of_tags_and_dates_that_are_none_are_answered() {
    let home = Home::new();
    let node = home.start();
    assert_eq!(node.deploy("blog", &[("index.html", "fine")]).status, 200);
    let get = |name: &str, value: &str| {
        node.send(&Request::get("blog.localhost", "/").field(name, value)).status
    };
    let tag = node.get("blog.localhost", "/").field("etag").unwrap().to_owned();
    // As much as a head may hold, and more than that.
    let others = "\"0123456789\", ".repeat(2_200);
    assert!(others.len() > 30_000);
    assert_eq!(get("if-none-match", &format!("{others}{tag}")), 304);
    assert_eq!(get("if-none-match", &others), 200);
    assert_eq!(get("if-none-match", &others.repeat(2)), 431);
    for garbage in ["\"", "\"a", "W/", ",,,,", "a b c", "\u{e9}", &"\"".repeat(30_000)] {
        assert_eq!(get("if-none-match", garbage), 200, "{garbage:.20}");
    }
    for date in [
        "yesterday",
        "Thu, 99 Xyz 99999 99:99:99 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "-1",
        "9999999999999999999999",
        "",
        &"9".repeat(30_000),
    ] {
        assert!(matches!(get("if-modified-since", date), 200 | 304), "{date:.20}");
        assert_eq!(get("if-range", date), 200, "{date:.20}");
        assert!(matches!(get("if-unmodified-since", date), 200 | 412), "{date:.20}");
    }
    assert!(node.stop().success());
}

#[test]
fn an_upload_that_announces_too_much_is_refused_before_it_is_sent() {
    let home = Home::new();
    let node = home.start();
    let key = node.key(&["deploy"], None);
    for (path, kind) in [
        ("/api/deploy?site_name=blog", "application/zip"),
        ("/api/deploy", "multipart/form-data; boundary=b"),
        ("/api/blobs", "application/vnd.fazt.blobs"),
        ("/api/apps/blog/deployments", "application/json"),
        ("/login", "application/x-www-form-urlencoded"),
    ] {
        let mut client = node.client();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: admin.localhost:{}\r\nauthorization: Bearer {key}\r\n\
             content-type: {kind}\r\nexpect: 100-continue\r\ncontent-length: 10737418240\r\n\r\n",
            node.port()
        );
        client.write(head.as_bytes()).unwrap();
        let answer = client.answer().unwrap();
        assert_eq!(answer.status, 413, "{path}: {}", answer.text());
        assert!(client.is_closed(), "{path}");
    }
    assert!(node.stop().success());
}

/// Names in the directory of the cartridge, and how many files the node has open.
fn traces(home: &Home, node: &Node) -> (Vec<String>, usize) {
    let entries = std::fs::read_dir(home.path("")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    (names, open_files(node.pid()))
}

#[test]
fn forms_that_are_refused_or_broken_off_leave_no_files() {
    let home = Home::new();
    let node = home.start();
    let key = node.key(&["deploy"], None);
    assert_eq!(node.deploy("blog", &[("index.html", "fine")]).status, 200);
    let before = traces(&home, &node);
    let part = |head: &str, content: &[u8]| {
        [
            format!("--b\r\ncontent-disposition: form-data; {head}\r\n\r\n").as_bytes(),
            content,
            b"\r\n",
        ]
        .concat()
    };
    let site = part("name=site_name", b"blog");
    let file = part("name=file; filename=a.zip", &vec![0; 1 << 20]);
    let long = part(&format!("name=file; filename=\"{}\"", "x".repeat(64 << 10)), b"");
    let end = b"--b--\r\n".to_vec();
    for (what, kind, body, status) in [
        ("no end", "b", [&site[..], &file].concat(), 400),
        ("no archive", "b", [&site[..], &file, &end].concat(), 400),
        ("a file twice", "b", [&site[..], &file, &file, &end].concat(), 400),
        ("a long name", "b", [&site[..], &file, &long, &end].concat(), 413),
        ("many parts", "b", [&file[..], &site.repeat(1_000), &end].concat(), 400),
        ("a long boundary", &*"b".repeat(20_000), [&site[..], &file, &end].concat(), 400),
    ] {
        let kind = format!("multipart/form-data; boundary={kind}");
        let request = Request::admin("POST", "/api/deploy").key(&key).body(&kind, body);
        let answer = node.send(&request);
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        let bytes = request.bytes(node.port());
        node.client().write(&bytes[..bytes.len() - (1 << 19)]).unwrap();
    }
    // Readers of the cartridge, each with a file, are started when they are needed.
    until(Duration::from_secs(10), "nothing is left", || {
        let (names, files) = traces(&home, &node);
        names == before.0 && files < before.1 + 8
    });
    assert_eq!(node.get("blog.localhost", "/").text(), "fine");
    assert!(node.stop().success());
}

#[test]
fn nothing_is_connected_to_for_anybody() {
    let home = Home::new();
    let node = home.start();
    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let target = canary.local_addr().unwrap().to_string();
    for (method, target) in [
        ("CONNECT", target.clone()),
        ("GET", format!("http://{target}/")),
        ("POST", format!("http://{target}/")),
        ("OPTIONS", format!("http://{target}/")),
    ] {
        let answer = node.send(&Request::new(method, "blog.localhost", target));
        assert!((400..500).contains(&answer.status), "{method}: {}", answer.status);
    }
    // The same authority in both places is a request for a host, which is answered here.
    let mut client = node.client();
    let own = format!("GET http://{target}/ HTTP/1.1\r\nhost: {target}\r\n\r\n");
    client.write(own.as_bytes()).unwrap();
    assert!(client.answer().unwrap().status < 500);
    std::thread::sleep(Duration::from_millis(100));
    assert!(canary.accept().is_err(), "something connected");
    assert!(node.stop().success());
}
