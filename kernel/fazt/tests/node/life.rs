//! From the first start to the copy that moves house.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use rustix::process::Signal;

#[cfg(feature = "hosting")]
use crate::home::site;
use crate::home::{Home, Node, get};

#[cfg(feature = "hosting")]
#[test]
fn a_cartridge_is_made_served_copied_and_moved() {
    let mut home = Home::new();
    home.types("server init --db a.db");
    home.types_with("server init --db a.db --username ada --password -", "correct horse battery\n");
    home.types_with("server init --db a.db --username ada --password -", "correct horse battery\n");
    home.types("app list --db a.db");
    home.types("app list --db missing.db");

    let node = home.starts("server start --db a.db --port 0", "port  ");
    let port = node.port();
    home.golden.add("fazt server start --db a.db --port 0", &node.said, "", 0);
    home.types("server start --db a.db --port 0");
    site(&home.path("blog"), "first");
    home.types("app deploy blog --db a.db");
    site(&home.path("blog"), "second");
    home.types("app deploy blog --db a.db");
    assert!(get(port, "blog.localhost", "/").ends_with("\r\n\r\nsecond"));
    home.types("cartridge backup copy.db --db a.db");
    home.types("cartridge restore copy.db --replace --db a.db");
    home.types("app list --db a.db --format json");
    assert!(node.stops().success());
    assert!(!home.path("a.db.sock").exists(), "the socket went away with the node");

    home.types("cartridge restore copy.db --db b.db");
    home.types("cartridge restore copy.db --db b.db");
    home.types("cartridge restore copy.db --db b.db --replace");
    home.types("app deploy blog --name again --db b.db");
    let node = home.starts("server start --db b.db --port 0", "port  ");
    assert!(get(node.port(), "blog.localhost", "/").ends_with("\r\n\r\nsecond"));
    assert!(get(node.port(), "again.localhost", "/").ends_with("\r\n\r\nsecond"));
    assert!(node.stops().success());
    home.golden.check("life");
}

#[test]
fn bare_fazt_says_where_it_runs_and_how_to_sign_in() {
    let home = Home::new();
    let node = home.starts("", "stops the node");
    let mut golden = home.golden;
    let link = node.said.lines().find(|line| line.contains("/login#")).unwrap().trim();
    let (page, token) = link.split_once('#').unwrap();
    golden.mask(token, "TOKEN");
    golden.add("fazt", &node.said, "", 0);
    golden.check("first_run");
    let (_, host) = page.split_once("//").unwrap();
    let (host, rest) = host.split_once(':').unwrap();
    let (port, path) = rest.split_once('/').unwrap();
    let answer = get(port.parse().unwrap(), host, &format!("/{path}"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(home.directory.path().join(".fazt/data.db").exists());

    // Somebody else's node takes the next port instead of failing.
    let other = Home::new();
    let second = other.starts("", "stops the node");
    let port_of = |node: &Node| {
        let line = node.said.lines().find(|line| line.starts_with("  node")).unwrap();
        line.rsplit(':').next().unwrap().to_owned()
    };
    assert_ne!(port_of(&node), port_of(&second));
    assert!(second.stops().success());
    assert!(node.stops().success());
}

#[cfg(feature = "hosting")]
#[test]
fn a_key_deploys_over_http_on_this_machine() {
    let mut home = Home::new();
    let node = home.starts("server start --db a.db --port 0", "port  ");
    let key = home.types("server create-key --name ci --scopes deploy --db a.db --format json");
    let key: serde_json::Value = serde_json::from_str(&key).unwrap();
    site(&home.path("blog"), "from afar");
    let deploy = |key: &str| {
        let mut command =
            home.command(&format!("app deploy blog --to http://localhost:{}", node.port()));
        let output = command.env("FAZT_TOKEN", key).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (exit, said) = deploy(key["key"].as_str().unwrap());
    assert_eq!(exit, 0, "{said}");
    assert!(get(node.port(), "blog.localhost", "/").ends_with("from afar"));
    let (exit, said) = deploy("fzt_wrong");
    assert_eq!(exit, 4, "{said}");
    assert!(said.contains("the key is wrong"), "{said}");
    assert!(node.stops().success());
}

#[test]
fn a_second_signal_stops_at_once() {
    let home = Home::new();
    let mut node = home.starts("server start --db a.db --port 0", "port  ");
    // A request that never ends keeps the node from draining.
    let mut stuck = TcpStream::connect(("127.0.0.1", node.port())).unwrap();
    write!(
        stuck,
        "POST /api/deploy HTTP/1.1\r\nHost: admin.localhost\r\nContent-Length: 9\r\n\r\n"
    )
    .unwrap();
    node.signal(Signal::INT);
    let mut err = BufReader::new(node.child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("stopping") {
        assert!(err.read_line(&mut said).unwrap() > 0, "{said}");
    }
    node.signal(Signal::INT);
    // Whether the drain or the second signal was faster, the node is gone and nothing is lost.
    assert!(node.child.wait().unwrap().code().is_some());
    assert!(home.path("a.db").exists());
    let mut home = home;
    assert_eq!(home.types("app list --db a.db"), "none\n");
}
