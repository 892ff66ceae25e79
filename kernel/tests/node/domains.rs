//! Domains: which names are taken, who verifies them, and what answers until then.

use std::collections::HashMap;
use std::io::{Error as IoError, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use fazt_sdk::http::Method;
use fazt_testkit::{Connection, Resolve, Resolving, TestKernel};
use serde_json::{Value, json};

use crate::gadget::GADGET;
use crate::names::post;

/// What names lead to, as the test says.
#[derive(Debug, Default)]
struct Names(Mutex<HashMap<String, SocketAddr>>);

impl Names {
    fn lead(&self, name: &str, to: SocketAddr) {
        self.0.lock().unwrap().insert(name.to_owned(), to);
    }
}

impl Resolve for Names {
    fn resolve<'r>(&'r self, host: &'r str, _: u16) -> Resolving<'r> {
        let found = self.0.lock().unwrap().get(host).copied();
        Box::pin(async move {
            found.map(|address| vec![address]).ok_or_else(|| IoError::from(ErrorKind::NotFound))
        })
    }
}

struct World {
    names: Arc<Names>,
    node: TestKernel,
    /// Where the node listens.
    address: SocketAddr,
    _serving: fazt_kernel::Serving,
}

async fn world() -> World {
    let names = Arc::new(Names::default());
    let resolver: Arc<dyn Resolve> = Arc::clone(&names) as _;
    let settings =
        [("server.domain", "node.test"), ("server.host", "127.0.0.1"), ("server.port", "0")];
    let node = TestKernel::resolving(vec![GADGET], &settings, resolver).await.unwrap();
    node.app("blog").await.unwrap();
    let serving = node.kernel().serve().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], serving.port()));
    World { names, node, address, _serving: serving }
}

impl World {
    async fn add(&self, name: &str) -> fazt_sdk::Result<Value> {
        post(&self.node, "/api/domains", json!({ "name": name, "app": "blog" })).await
    }

    async fn check(&self, name: &str) -> fazt_sdk::Result<Value> {
        post(&self.node, &format!("/api/domains/{name}/check"), json!(null)).await
    }

    async fn status(&self, host: &str) -> u16 {
        self.get(host, "/_gadget/headers").await.status
    }

    async fn get(&self, host: &str, path: &str) -> fazt_testkit::Answer {
        self.node.exchange(Connection::PlainHttp, host, Method::Get, path, &[], "").await
    }
}

/// A server that gives every client the same answer.
fn played(answer: &'static str) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::Builder::new()
        .spawn(move || {
            while let Ok((mut client, _)) = listener.accept() {
                let mut request = [0; 4_096];
                drop(client.read(&mut request));
                drop(client.write_all(answer.as_bytes()));
            }
        })
        .unwrap();
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_answers_once_the_node_was_reached_under_it() {
    let mut world = world().await;
    let added = world.add("WWW.Shop.test.").await.unwrap();
    assert_eq!((&added["name"], &added["state"]), (&json!("www.shop.test"), &json!("pending")));
    assert!(added["problem"].as_str().unwrap().contains("no address"), "{added}");
    assert!(!added["advice"].as_array().unwrap().is_empty());
    assert_eq!(world.status("www.shop.test").await, 404);
    let unknown = world.get("unknown.test", "/").await;
    assert_eq!(world.get("www.shop.test", "/").await.text(), unknown.text());

    world.names.lead("www.shop.test", world.address);
    let checked = world.check("www.shop.test").await.unwrap();
    assert_eq!(checked["state"], "verified", "{checked}");
    assert_eq!(checked["addresses"], json!(["127.0.0.1"]));
    assert_eq!(checked["own_addresses"], json!(["127.0.0.1"]));
    assert_eq!((&checked["problem"], &checked["advice"]), (&json!(null), &json!([])));
    assert_eq!(world.status("www.shop.test").await, 200);
    assert_eq!(world.status("a.www.shop.test").await, 404);
    let app = world.node.operate(Method::Get, "/api/apps/blog", json!({})).await.unwrap();
    assert!(app["urls"].to_string().contains("://www.shop.test"), "{app}");

    // A check that fails later is told, and takes nothing down.
    world.names.lead("www.shop.test", ([127, 0, 0, 1], 1).into());
    let checked = world.check("www.shop.test").await.unwrap();
    assert_eq!(checked["state"], "verified");
    assert!(checked["problem"].as_str().unwrap().contains("nothing answers"), "{checked}");
    world.node.restart().await.unwrap();
    assert_eq!(world.status("www.shop.test").await, 200);

    world.node.operate(Method::Delete, "/api/domains/www.shop.test", json!({})).await.unwrap();
    assert_eq!(world.status("www.shop.test").await, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_goes_with_its_app() {
    let world = world().await;
    world.names.lead("www.shop.test", world.address);
    assert_eq!(world.add("www.shop.test").await.unwrap()["state"], "verified", "at once");
    world.node.operate(Method::Delete, "/api/apps/blog", json!({})).await.unwrap();
    assert_eq!(world.status("www.shop.test").await, 404);
    let list = world.node.operate(Method::Get, "/api/domains", json!({})).await.unwrap();
    assert_eq!(list, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_says_what_stands_in_the_way() {
    let world = world().await;
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let foreign = played("HTTP/1.1 200 OK\r\nserver: other/1\r\ncontent-length: 2\r\n\r\nhi");
    let to_tls =
        played("HTTP/1.1 301 Moved\r\nlocation: https://d.test/\r\ncontent-length: 0\r\n\r\n");
    let in_circles = played("HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n");
    let no_http = played("220 mail.example ESMTP\r\n");
    let endless = played("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n");
    for (name, address, problem, advice) in [
        ("a.test", None, "no address", "A record"),
        ("b.test", Some(([10, 0, 0, 9], 80).into()), "neither public nor", "private address"),
        ("c.test", Some(nobody), "nothing answers", "port 80"),
        ("d.test", Some(to_tls), "https://d.test/", "redirects port 80"),
        ("e.test", Some(foreign), "other/1", "proxy"),
        ("f.test", Some(in_circles), "/again", "redirects port 80"),
        ("g.test", Some(no_http), "no web server", "listens on port 80"),
        ("h.test", Some(endless), "no web server", "listens on port 80"),
    ] {
        if let Some(address) = address {
            world.names.lead(name, address);
        }
        let added = world.add(name).await.unwrap();
        assert_eq!(added["state"], "pending", "{name}");
        assert!(added["problem"].as_str().unwrap().contains(problem), "{added}");
        assert!(added["advice"].to_string().contains(advice), "{added}");
        assert_eq!(world.status(name).await, 404, "{name}");
    }
}

/// A server of somebody else that sends back what it was asked proves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_echo_is_no_proof() {
    let world = world().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    world.names.lead("echo.test", listener.local_addr().unwrap());
    let echo = std::thread::Builder::new();
    echo.spawn(move || {
        while let Ok((mut client, _)) = listener.accept() {
            let mut request = [0; 4_096];
            let read = client.read(&mut request).unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            let nonce =
                text.split(' ').nth(1).unwrap_or("").rsplit('/').next().unwrap_or("").to_owned();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", nonce.len());
            drop(client.write_all((head + &nonce).as_bytes()));
        }
    })
    .unwrap();
    assert_eq!(world.add("echo.test").await.unwrap()["state"], "pending");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_redirects_to_another_with_path_and_query() {
    let world = world().await;
    for name in ["shop.test", "www.shop.test"] {
        world.names.lead(name, world.address);
    }
    let redirect = |name: &str, to: &str| {
        let input = json!({ "name": name, "redirect_to": to });
        async { post(&world.node, "/api/domains", input).await }
    };
    world.add("www.shop.test").await.unwrap();
    assert_eq!(redirect("shop.test", "WWW.shop.test").await.unwrap()["state"], "verified");
    let ask = async |connection: Connection, path: &str| {
        let answer = world.node.exchange(connection, "shop.test", Method::Get, path, &[], "").await;
        (answer.status, answer.header("location").unwrap_or_default().to_owned())
    };
    for (connection, path, location) in [
        (Connection::PlainHttp, "/a/b?c=d", "http://www.shop.test/a/b?c=d"),
        (Connection::Tls, "/", "https://www.shop.test/"),
        (Connection::Tls, "//evil.test", "https://www.shop.test//evil.test"),
    ] {
        assert_eq!(ask(connection, path).await, (301, location.to_owned()));
    }
    for (name, to, code) in [
        ("x.test", "shop.test", "REDIRECT_CHAIN"),
        ("y.test", "y.test", "INVALID"),
        ("y.test", "no host", "BAD_DOMAIN"),
        ("y.test", "192.0.2.1", "BAD_DOMAIN"),
        ("shop.test", "www.shop.test", "DOMAIN_TAKEN"),
    ] {
        assert_eq!(redirect(name, to).await.unwrap_err().code(), code, "{name} to {to}");
    }
    world.node.operate(Method::Delete, "/api/domains/www.shop.test", json!({})).await.unwrap();
    let chain = redirect("www.shop.test", "other.test").await.unwrap_err();
    assert_eq!(chain.code(), "REDIRECT_CHAIN");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_the_node_and_nonsense_are_no_domains() {
    let world = world().await;
    for bad in [
        "node.test",
        "blog.node.test",
        "Admin.Node.Test.",
        "localhost",
        "a.localhost",
        "127.0.0.1",
        "[::1]",
        "shop",
        "co.uk",
        "shop.test:80",
        "https://shop.test",
        "b\u{fc}cher.test",
        "",
    ] {
        let error = world.add(bad).await.unwrap_err();
        assert_eq!((error.kind().http_status(), error.code()), (400, "BAD_DOMAIN"), "{bad}");
    }
    for input in [
        json!({ "name": "shop.test" }),
        json!({ "name": "shop.test", "app": "blog", "redirect_to": "x.test" }),
    ] {
        assert_eq!(post(&world.node, "/api/domains", input).await.unwrap_err().code(), "INVALID");
    }
    let none = json!({ "name": "shop.test", "app": "nobody" });
    let none = post(&world.node, "/api/domains", none).await.unwrap_err();
    assert_eq!(none.code(), "NO_SUCH_APP");
    assert_eq!(world.check("shop.test").await.unwrap_err().code(), "NO_SUCH_DOMAIN");
}

/// Questions that the node did not ask are not answered, and look like every other path.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_path_of_checks_gives_nothing_away() {
    let world = world().await;
    drop(world.add("www.shop.test").await);
    let guess = "/_fazt/domain-check/00000000000000000000000000000000";
    let unknown = world.get("unknown.test", "/").await;
    for host in ["www.shop.test", "unknown.test"] {
        let answer = world.get(host, guess).await;
        assert_eq!((answer.status, answer.text()), (404, unknown.text()), "{host}");
    }
    assert_eq!(world.get("blog.node.test", guess).await.status, 404);
}
