//! The access log: one line for each request, and nothing of a request breaks a line.

use std::time::Duration;

use fazt_tests::{Home, Launch, Request, wait_for};
use serde_json::Value;

#[test]
fn each_request_is_one_line_that_no_input_can_forge() {
    let home = Home::new();
    let node = Launch::new(&home.db()).set("server.access_log=true").start();
    assert_eq!(node.deploy("blog", &[("index.html", "x")]).status, 200);
    let hostile = Request::get("blog.localhost", "/a%22%0A%7B%22status%22:200%7D")
        .field("user-agent", "evil\"} {\"forged\": 1");
    assert_eq!(node.send(&hostile).status, 400, "a line feed in a path is no path");
    let odd = Request::get("blog.localhost", "/a%22%7B").field("user-agent", "a\"}b");
    assert_eq!(node.send(&odd).status, 404);
    assert_eq!(node.get("blog.localhost", "/").status, 200);
    let records = || -> Vec<Value> {
        let output = node.output();
        let lines = output.lines().filter(|line| line.contains("\"duration_us\""));
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let found = wait_for(Duration::from_secs(10), || {
        let records = records();
        records.iter().any(|record| record["path"] == "/").then_some(records)
    });
    let records = found.unwrap_or_else(|| panic!("no record came: {}", node.output()));
    let of = |path: &str| records.iter().find(|record| record["path"] == path).unwrap();
    assert_eq!((&of("/")["status"], &of("/")["method"]), (&200.into(), &"GET".into()));
    assert_eq!(of("/")["host"], "blog.localhost");
    assert_eq!(of("/")["client"], "127.0.0.1");
    assert_eq!(
        (&of("/a\"{")["status"], &of("/a\"{")["user_agent"]),
        (&404.into(), &"a\"}b".into())
    );
    assert!(node.stop().success());
}
