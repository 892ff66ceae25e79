//! Apps that were written for something else run here without a change: for the predecessor, for Hono and for
//! itty-router.

use fazt_tests::{Home, Node};
use serde_json::{Value, json};

use crate::app::App;

const TODOS: &str = include_str!("written/todos.js");
const SESSIONS: &str = include_str!("written/sessions.js");
const HELLO: &str = include_str!("written/hello.js");
const COUNTER: &str = include_str!("written/counter.js");
// What esbuild made of the sources beside them.
const HONO: &str = include_str!("../../../plugins/js/engine/tests/frameworks/hono.js");
const ITTY: &str = include_str!("../../../plugins/js/engine/tests/frameworks/itty.js");

/// The app, with these files and a page.
#[track_caller]
fn online<'n>(node: &'n Node, name: &str, files: &[(&str, &str)]) -> App<'n> {
    let page = [("index.html", "<!doctype html><title>static</title>")];
    let deployed = node.deploy(name, &[&page, files].concat());
    assert_eq!(deployed.status, 200, "{}", deployed.text());
    let warnings = deployed.json()["data"]["warnings"].to_string();
    assert!(!warnings.contains(".js:"), "{warnings}");
    App::new(node, name)
}

#[test]
fn the_predecessors_todos_run() {
    let home = Home::new();
    let node = home.start();
    let app = online(&node, "todos", &[("api/main.js", TODOS)]);
    assert_eq!(app.get("/api/todos"), json!([]));
    let made = app.send("POST", "/api/todos", &json!({"title": "one"}));
    assert_eq!(made.status, 201, "{}", made.text());
    let todo = made.json();
    assert_eq!((&todo["title"], &todo["done"]), (&json!("one"), &json!(false)));
    assert!(todo["_createdAt"].is_u64() && todo["_updatedAt"].is_u64(), "{todo}");
    let one = made.field("location").unwrap();
    assert_eq!(app.get(one), todo);
    app.send("POST", "/api/todos", &json!({"title": "two"}));
    let changed = app.send("PUT", one, &json!({"done": true}));
    assert_eq!((changed.status, &changed.json()["done"]), (200, &json!(true)));
    assert_eq!(changed.json()["title"], "one");
    let titles = |path: &str| {
        let todos = app.get(path);
        todos.as_array().unwrap().iter().map(|todo| todo["title"].clone()).collect::<Value>()
    };
    assert_eq!(titles("/api/todos"), json!(["one", "two"]));
    assert_eq!(titles("/api/todos?done=true"), json!(["one"]));
    assert_eq!(titles("/api/todos?done=false"), json!(["two"]));
    assert_eq!(app.send("POST", "/api/todos", &json!({})).status, 400);
    assert_eq!(app.send("PATCH", one, &json!({})).status, 405);
    assert_eq!(app.ask("GET", "/api/else").status, 404);
    assert_eq!(app.ask("GET", "/api/todos/none").status, 404);
    assert_eq!(app.send("PUT", "/api/todos/none", &json!({"done": true})).status, 404);
    let broken = app.request("POST", "/api/todos").body("application/json", "{\"title\":");
    assert_eq!(node.send(&broken).status, 400, "before the script runs");
    let removed = app.ask("DELETE", one);
    assert_eq!((removed.status, removed.body.len()), (204, 0));
    assert_eq!(app.ask("DELETE", one).status, 404);
    assert_eq!(titles("/api/todos"), json!(["two"]));
    // Every path of it, and none of its source.
    assert!(!app.ask("GET", "/api/main.js").text().contains("COLLECTION"));
    assert!(app.ask("GET", "/").text().contains("static"));
    assert!(node.stop().success());
}

#[test]
fn a_script_that_answers_by_return_runs() {
    let home = Home::new();
    let node = home.start();
    let app = online(&node, "items", &[("api/main.js", SESSIONS)]);
    assert_eq!(app.ask("GET", "/api/items").status, 400);
    let made = app.send("POST", "/api/items?session=cat-dog-cow", &json!({"name": "milk"}));
    assert_eq!((made.status, &made.json()["session"]), (201, &json!("cat-dog-cow")));
    let one = format!("/api/items/{}", made.json()["id"].as_str().unwrap());
    let mine = format!("{one}?session=cat-dog-cow");
    for changes in 1..3 {
        let changed = app.send("PUT", &mine, &json!({"name": "oats"})).json();
        assert_eq!((&changed["name"], &changed["changes"]), (&json!("oats"), &json!(changes)));
    }
    assert_eq!(app.ask("GET", &format!("{one}?session=other")).status, 404);
    assert_eq!(app.get("/api/items?session=other"), json!({"items": []}));
    assert_eq!(app.get("/api/items?session=cat-dog-cow")["items"].as_array().unwrap().len(), 1);
    assert_eq!(app.ask("DELETE", &mine).json(), json!({"deleted": true}));
    assert_eq!(app.ask("GET", &mine).status, 404);
    assert_eq!(app.ask("PATCH", "/api/other?session=a").status, 404);
    assert!(node.stop().success());
}

#[test]
fn a_file_for_each_endpoint_and_a_script_for_every_path_run() {
    let home = Home::new();
    let node = home.start();
    let app = online(&node, "hello", &[("api/hello.js", HELLO)]);
    let said = app.ask("GET", "/api/hello?name=Ada");
    assert_eq!(said.field("content-type"), Some("application/json"));
    assert_eq!(said.json(), json!({"message": "Hello, Ada", "method": "GET"}));
    assert_eq!(app.ask("GET", "/api/none").status, 404);

    let old = r#"{"name": "counter", "server": true}"#;
    let files = [("main.js", COUNTER), ("manifest.json", old)];
    let app = online(&node, "counter", &files);
    assert!(app.ask("GET", "/").text().contains("static"), "a file comes first");
    assert_eq!(app.ask("GET", "/count").text(), "<h1>0</h1>");
    for count in 1..4 {
        let up = app.ask("POST", "/up");
        assert_eq!(up.text(), format!("<h1>{count}</h1>"));
        assert_eq!(up.field("x-count"), Some(&*count.to_string()));
    }
    assert_eq!(app.get("/json?a=1"), json!({"count": 3, "query": "a=1"}));
    assert!(node.stop().success());
}

#[test]
fn an_app_made_with_hono_runs() {
    let home = Home::new();
    let node = home.start();
    let app = online(&node, "hono", &[("api/main.js", HONO)]);
    assert_eq!(app.ask("GET", "/api").text(), "Hono");
    assert_eq!(app.get("/api/hello/w%C3%B6rld?q=1"), json!({"name": "wörld", "q": "1"}));
    let echo = app.send("POST", "/api/echo", &json!({"a": [1, "ü"]}));
    assert_eq!((echo.status, echo.json()), (201, json!({"a": [1, "ü"]})));
    let form = "--b\r\nContent-Disposition: form-data; name=\"t\"\r\n\r\nv\r\n--b\r\n\
                Content-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nx\r\n--b--\r\n";
    let form = app.request("POST", "/api/form").body("multipart/form-data; boundary=b", form);
    assert_eq!(node.send(&form).json(), json!({"t": "v", "f": "a.txt"}));
    let page = app.ask("GET", "/api/html");
    assert_eq!(page.field("content-type"), Some("text/html; charset=UTF-8"));
    let cookie = node.send(&app.request("GET", "/api/cookie").field("cookie", "b=2; c=3"));
    assert_eq!((&*cookie.text(), cookie.field("set-cookie")), ("2", Some("a=1; Path=/; HttpOnly")));
    let moved = app.ask("GET", "/api/redirect");
    assert_eq!((moved.status, moved.field("location")), (301, Some("/api/")));
    let cors = app.ask("GET", "/api/cors/x");
    assert_eq!(cors.field("access-control-allow-origin"), Some("*"));
    let asked = app.request("OPTIONS", "/api/cors/x").field("origin", "https://example.com");
    let asked = node.send(&asked.field("access-control-request-method", "GET"));
    assert_eq!((asked.status, asked.field("access-control-allow-origin")), (204, Some("*")));
    let refused = app.ask("GET", "/api/admin/x");
    assert_eq!((refused.status, refused.field("www-authenticate").is_some()), (401, true));
    let admin = app.request("GET", "/api/admin/x").field("authorization", "Basic YTpi");
    assert_eq!(node.send(&admin).text(), "admin");
    assert_eq!(app.ask("GET", "/api/stream").text(), "ab");
    let teapot = app.ask("GET", "/api/fail");
    assert_eq!((teapot.status, &*teapot.text()), (418, "teapot"));
    let nowhere = app.ask("GET", "/api/nowhere");
    assert_eq!((nowhere.status, &*nowhere.text()), (404, "nowhere"));
    assert!(node.stop().success());
}

#[test]
fn an_app_made_with_itty_router_runs() {
    let home = Home::new();
    let node = home.start();
    let app = online(&node, "itty", &[("api/main.js", ITTY)]);
    assert_eq!(app.get("/api/todos/7?q=x"), json!({"id": "7", "q": "x"}));
    let made = app.send("POST", "/api/todos", &json!({"a": 1}));
    assert_eq!((made.status, made.json()), (201, json!({"a": 1})));
    let bad = app.ask("GET", "/api/error");
    assert_eq!((bad.status, bad.json()), (400, json!({"status": 400, "error": "bad"})));
    assert_eq!(app.ask("GET", "/api/throws").status, 500);
    assert_eq!(app.ask("GET", "/api/none").status, 404);
    assert!(node.stop().success());
}
