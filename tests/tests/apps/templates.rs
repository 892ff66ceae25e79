//! `fazt app create --template`: what it writes is an app that runs, down to every route of its API.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use fazt_tests::{Home, Node, skipped};
use serde_json::{Value, json};

use crate::app::{App, refusal};

/// Makes a directory from a template.
#[track_caller]
fn made(home: &Home, template: &str) -> String {
    let name = format!("my-{template}");
    let made = home.fazt(&format!("app create {name} --template {template}"));
    assert_eq!(made.code, Some(0), "{}", made.err);
    name
}

/// Makes an app from a template, checks it and puts it online.
#[track_caller]
fn deployed(home: &Home, template: &str) -> String {
    let name = made(home, template);
    put_online(home, &name, &name);
    name
}

#[track_caller]
fn put_online(home: &Home, name: &str, directory: &str) {
    let checked = home.fazt(&format!("app validate {directory}"));
    assert_eq!(checked.code, Some(0), "{}", checked.err);
    assert!(checked.out.starts_with("can be deployed"), "{}", checked.out);
    let online = home.fazt(&format!("app deploy {directory} --name {name}"));
    assert_eq!(online.code, Some(0), "{}", online.err);
    for line in checked.err.lines().chain(online.err.lines()) {
        // Where a defect in the template's code would be told.
        assert!(!line.contains(".js:"), "{line}");
    }
}

/// The page and everything that it refers to is there; what is for people who write the app is not.
#[track_caller]
fn is_served(app: &App<'_>, name: &str) {
    let page = app.ask("GET", "/");
    assert_eq!(page.status, 200);
    let text = page.text();
    assert!(text.contains(&format!("<title>{name}</title>")), "{text}");
    for attribute in ["href=\"", "src=\""] {
        for part in text.split(attribute).skip(1) {
            let target = part.split('"').next().unwrap();
            if target.starts_with('/') && target != "/nowhere" {
                assert_eq!(app.ask("GET", target).status, 200, "{target}");
            }
        }
    }
    for path in ["/README.md", "/README", "/.faztignore", "/.gitignore", "/api/http.js"] {
        assert_eq!(app.ask("GET", path).status, 404, "{path}");
    }
    assert!(!app.ask("GET", "/api/main.js").text().contains("import"));
}

#[test]
fn a_template_is_chosen_by_name_and_written_once() {
    let home = Home::new();
    let listed = home.fazt("app templates --format json");
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|row| &row["name"]).collect();
    assert_eq!(
        json!(names),
        json!(["minimal", "static", "api", "todo", "chat", "vite", "vue", "vue-api"])
    );

    let made = home.fazt("app create blog --template minimal --format json");
    let made: Value = serde_json::from_str(&made.out).unwrap();
    assert_eq!(made["template"], "minimal");
    for file in made["files"].as_array().unwrap() {
        assert!(home.path("blog").join(file.as_str().unwrap()).is_file(), "{file}");
    }
    assert!(!home.db().exists(), "no node is needed");

    let page = home.path("blog/index.html");
    fs::write(&page, "mine").unwrap();
    for words in [
        "app create blog --template minimal",
        "app create other blog --template todo",
        "app create other blog/index.html --template todo",
    ] {
        let again = home.fazt(words);
        assert_eq!(again.code, Some(1), "{words}: {}", again.err);
        assert_eq!(fs::read_to_string(&page).unwrap(), "mine", "{words}");
    }

    fs::create_dir(home.path("empty")).unwrap();
    let said = home.fazt("app create other empty --template minimal");
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("app deploy empty --name other"), "{}", said.err);
    let said = home.fazt("app create deep some/where/deep --template minimal");
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.lines().any(|line| line.ends_with("app deploy some/where/deep")));

    for (words, hint) in [
        ("app create x --template tood", "did you mean todo?"),
        ("app create x --template wordpress", "there are minimal, static,"),
        ("app create My_App --template todo", "call it my-app"),
        ("app create .. --template todo", "is not"),
        ("app create x --template todo --to http://localhost:1", "--to names a node"),
        ("app create x directory", "fazt app templates"),
    ] {
        let said = home.fazt(words);
        assert_eq!(said.code, Some(2), "{words}: {}", said.err);
        assert!(said.err.contains(hint), "{words}: {}", said.err);
        assert!(!home.path("x").exists() && !home.path("directory").exists(), "{words}");
    }

    // Without a template it is an app on the node, as before.
    let node = home.start();
    let said = home.fazt("app create shop");
    assert!(said.out.starts_with("shop is there: fazt_app_"), "{}{}", said.out, said.err);
    assert!(!home.path("shop").exists());
    assert!(node.stop().success());
}

#[test]
fn minimal_and_static_are_sites() {
    let home = Home::new();
    let node = home.start();
    let minimal = deployed(&home, "minimal");
    is_served(&App::new(&node, &minimal), &minimal);

    let name = deployed(&home, "static");
    let site = App::new(&node, &name);
    is_served(&site, &name);
    assert!(site.ask("GET", "/about").text().contains("About"));
    let missing = site.ask("GET", "/nowhere");
    assert_eq!(missing.status, 404);
    assert!(missing.text().contains("There is nothing here"));
    let policy = site.ask("GET", "/").field("content-security-policy").map(str::to_owned);
    assert!(policy.unwrap().contains("default-src 'self'"));
    assert!(node.stop().success());
}

#[test]
fn api_keeps_notes_and_lets_nobody_overwrite_what_they_have_not_seen() {
    let home = Home::new();
    let node = home.start();
    let name = deployed(&home, "api");
    let app = App::new(&node, &name);
    is_served(&app, &name);
    assert_eq!(app.get("/api"), json!({"app": name, "notes": "/api/notes"}));
    assert_eq!(app.get("/api/notes"), json!({"notes": [], "cursor": null}));

    let text = |text: &str| json!({ "text": text });
    let made = app.send("PUT", "/api/notes/today", &text("  Water the plants "));
    assert_eq!((made.status, made.field("etag")), (201, Some("\"1\"")), "{}", made.text());
    assert_eq!(made.json()["text"], "Water the plants");
    let changed = app.send("PUT", "/api/notes/today", &text("Done"));
    assert_eq!((changed.status, changed.field("etag")), (200, Some("\"2\"")));
    let read = app.ask("GET", "/api/notes/today");
    assert_eq!((read.status, read.field("etag")), (200, Some("\"2\"")));
    assert_eq!(read.json()["text"], "Done");
    let mut client = node.client();
    client.write(&app.request("HEAD", "/api/notes").bytes(node.port())).unwrap();
    assert_eq!(client.head().unwrap().0, 200);

    // Of another revision than the one that is there.
    let conditional = |method: &str, path: &str, revision: &str| {
        let request = app.request(method, path).field("if-match", revision);
        app.node.send(&if method == "PUT" { request.json(&text("mine")) } else { request })
    };
    let changed = (412, "CHANGED_MEANWHILE".to_owned());
    assert_eq!(refusal(&conditional("PUT", "/api/notes/today", "\"1\"")), changed);
    assert_eq!(refusal(&conditional("DELETE", "/api/notes/today", "\"1\"")), changed);
    assert_eq!(refusal(&conditional("PUT", "/api/notes/new", "*")), changed);
    assert_eq!(conditional("PUT", "/api/notes/today", "\"2\"").status, 200);
    assert_eq!(app.get("/api/notes/today")["text"], "mine");

    for number in 0..60 {
        let path = format!("/api/notes/n%20{number:02}");
        assert_eq!(app.send("PUT", &path, &text("x")).status, 201);
    }
    let page = app.get("/api/notes?prefix=n%20");
    let first: Vec<_> =
        page["notes"].as_array().unwrap().iter().map(|note| &note["name"]).collect();
    assert_eq!((first.len(), first[0].as_str()), (50, Some("n 00")));
    let cursor = page["cursor"].as_str().unwrap().replace(' ', "%20");
    let rest = app.get(&format!("/api/notes?prefix=n%20&cursor={cursor}"));
    assert_eq!((rest["notes"].as_array().unwrap().len(), &rest["cursor"]), (10, &json!(null)));

    let long = "x".repeat(10_001);
    for (method, path, body, expected) in [
        ("PUT", "/api/notes/x", json!({}), (400, "BAD_FIELD")),
        ("PUT", "/api/notes/x", text(" "), (400, "BAD_FIELD")),
        ("PUT", "/api/notes/x", text(&long), (400, "BAD_FIELD")),
        ("PUT", "/api/notes/x", json!({"text": 1}), (400, "BAD_FIELD")),
        ("PUT", "/api/notes/x", json!([]), (400, "BAD_JSON")),
        ("PUT", &format!("/api/notes/{}", "x".repeat(81)), text("x"), (400, "BAD_FIELD")),
        ("POST", "/api/notes/x", text("x"), (405, "METHOD_NOT_ALLOWED")),
        ("POST", "/api/other", text("x"), (404, "NOT_FOUND")),
    ] {
        let answer = app.send(method, path, &body);
        assert_eq!(refusal(&answer), (expected.0, expected.1.to_owned()), "{method} {path}");
    }
    for (path, expected) in
        [("/api/notes/x", (404, "NO_SUCH_NOTE")), ("/api/nowhere", (404, "NOT_FOUND"))]
    {
        let answer = app.ask("GET", path);
        assert_eq!(refusal(&answer), (expected.0, expected.1.to_owned()), "{path}");
    }
    let plain = app.request("PUT", "/api/notes/x").body("text/plain", "x");
    assert_eq!(refusal(&node.send(&plain)), (415, "JSON_EXPECTED".to_owned()));
    let broken = app.request("PUT", "/api/notes/x").body("application/json", "{\"text\":");
    assert_eq!(refusal(&node.send(&broken)), (400, "BAD_JSON".to_owned()));

    assert_eq!(app.ask("DELETE", "/api/notes/today").status, 204);
    assert_eq!(refusal(&app.ask("DELETE", "/api/notes/today")).1, "NO_SUCH_NOTE");

    // With a key of its own, those write who have it.
    assert_eq!(home.fazt(&format!("app env set {name} WRITE_KEY let-me")).code, Some(0));
    assert_eq!(refusal(&app.send("PUT", "/api/notes/x", &text("x"))).0, 401);
    assert_eq!(refusal(&app.ask("DELETE", "/api/notes/n%2001")).0, 401);
    let keyed = app.request("PUT", "/api/notes/x").field("x-write-key", "let-me").json(&text("x"));
    assert_eq!(node.send(&keyed).status, 201);
    assert!(node.stop().success());
}

/// What the API of todos does, whoever made the page in front of it.
#[track_caller]
fn keeps_todos(home: &Home, node: Node, name: &str) -> Node {
    let app = App::new(&node, name);
    assert_eq!(app.get("/api/todos"), json!({"todos": [], "cursor": null}));
    let mut ids = Vec::new();
    for title in ["one", " two ", "three"] {
        let made = app.send("POST", "/api/todos", &json!({ "title": title }));
        assert_eq!(made.status, 201, "{}", made.text());
        let todo = made.json();
        assert_eq!((&todo["title"], &todo["done"]), (&json!(title.trim()), &json!(false)));
        assert!(todo["created"].as_u64().unwrap() > 1_700_000_000_000, "{todo}");
        let place = made.field("location").unwrap();
        assert_eq!(app.get(place), todo);
        ids.push(todo["id"].as_str().unwrap().to_owned());
    }
    let titles = |query: &str| {
        let page = app.get(&format!("/api/todos{query}"));
        let todos = page["todos"].as_array().unwrap();
        todos.iter().map(|todo| todo["title"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(titles(""), ["three", "two", "one"]);

    let two = format!("/api/todos/{}", ids[1]);
    let changed = app.send("PATCH", &two, &json!({"done": true}));
    assert_eq!((changed.status, &changed.json()["title"]), (200, &json!("two")));
    let changed = app.send("PATCH", &two, &json!({"title": "second"}));
    assert_eq!((changed.status, &changed.json()["done"]), (200, &json!(true)));
    assert_eq!(app.send("PATCH", &two, &json!({})).json(), app.get(&two));
    assert_eq!(titles("?done=true"), ["second"]);
    assert_eq!(titles("?done=false"), ["three", "one"]);
    let way = home.fazt(&format!("storage docs explain {name} todos --query {{\"done\":true}}"));
    assert!(way.out.contains("SEARCH e USING PRIMARY KEY"), "the index is used: {}", way.out);

    let (one, none) = (format!("/api/todos/{}", ids[0]), "/api/todos/none".to_owned());
    for (method, path, body, expected) in [
        ("POST", "/api/todos", json!({}), (400, "BAD_FIELD")),
        ("POST", "/api/todos", json!({"title": "  "}), (400, "BAD_FIELD")),
        ("POST", "/api/todos", json!({"title": "x".repeat(201)}), (400, "BAD_FIELD")),
        ("POST", "/api/todos", json!({"title": {"$ne": 1}}), (400, "BAD_FIELD")),
        ("POST", "/api/todos", json!(["title"]), (400, "BAD_JSON")),
        ("PATCH", &one, json!({"done": "yes"}), (400, "BAD_FIELD")),
        ("PATCH", &one, json!({"title": ""}), (400, "BAD_FIELD")),
        ("PATCH", &one, json!({"$set": {"id": "x"}}), (400, "BAD_FIELD")),
        ("PATCH", &none, json!({"done": true}), (404, "NO_SUCH_TODO")),
        ("PUT", &one, json!({}), (405, "METHOD_NOT_ALLOWED")),
        ("POST", "/api/todos/a/b", json!({}), (404, "NOT_FOUND")),
    ] {
        let answer = app.send(method, path, &body);
        assert_eq!(refusal(&answer), (expected.0, expected.1.to_owned()), "{method} {path} {body}");
    }
    for (method, path, expected) in [
        ("GET", &*none, (404, "NO_SUCH_TODO")),
        ("DELETE", &none, (404, "NO_SUCH_TODO")),
        ("GET", "/api/todos/%zz", (400, "BAD_REQUEST")),
        ("GET", "/api/todos?done=maybe", (400, "BAD_FIELD")),
        ("GET", "/api/todos?cursor=x", (400, "INVALID_CURSOR")),
        ("DELETE", "/api/todos", (400, "BAD_FIELD")),
        ("GET", &format!("/api/todos/{}", "x".repeat(200)), (400, "INVALID_ID")),
    ] {
        let answer = app.ask(method, path);
        assert_eq!(refusal(&answer), (expected.0, expected.1.to_owned()), "{method} {path}");
    }
    let form = app.request("POST", "/api/todos").body("text/plain", "title=x");
    assert_eq!(refusal(&node.send(&form)), (415, "JSON_EXPECTED".to_owned()));
    let broken = app.request("POST", "/api/todos").body("application/json", "{");
    assert_eq!(refusal(&node.send(&broken)), (400, "BAD_JSON".to_owned()));
    let allowed = app.ask("PUT", &one);
    assert_eq!(allowed.field("allow"), Some("GET, PATCH, DELETE"));

    assert_eq!(app.ask("DELETE", &one).status, 204);
    assert_eq!(app.ask("GET", &one).status, 404);
    assert_eq!(app.ask("DELETE", "/api/todos?done=true").json(), json!({"removed": 1}));
    assert_eq!(titles(""), ["three"]);

    for number in 0..120 {
        let title = json!({"title": format!("more {number}")});
        assert_eq!(app.send("POST", "/api/todos", &title).status, 201);
    }
    let page = app.get("/api/todos");
    assert_eq!(page["todos"].as_array().unwrap().len(), 100);
    let rest = app.get(&format!("/api/todos?cursor={}", page["cursor"].as_str().unwrap()));
    assert_eq!((rest["todos"].as_array().unwrap().len(), &rest["cursor"]), (21, &json!(null)));

    // What was answered is there after a restart.
    assert!(node.stop().success());
    let node = home.start();
    assert_eq!(App::new(&node, name).get(&format!("/api/todos/{}", ids[2]))["title"], "three");
    node
}

#[test]
fn todo_keeps_todos() {
    let home = Home::new();
    let node = home.start();
    let name = deployed(&home, "todo");
    is_served(&App::new(&node, &name), &name);
    let node = keeps_todos(&home, node, &name);
    assert!(node.stop().success());
}

#[test]
fn chat_answers_what_is_new_and_nothing_twice() {
    let home = Home::new();
    let node = home.start();
    let name = deployed(&home, "chat");
    let app = App::new(&node, &name);
    is_served(&app, &name);
    let (lobby, garden) = ("/api/rooms/lobby/messages", "/api/rooms/the%20garden/messages");
    assert_eq!(app.get(lobby), json!({"messages": [], "whole": true}));
    let say = |room: &str, text: &str| {
        let said = app.send("POST", room, &json!({"author": "Ada", "text": text}));
        assert_eq!(said.status, 201, "{}", said.text());
        said.json()["id"].as_str().unwrap().to_owned()
    };
    let texts = |path: &str| {
        let page = app.get(path);
        let messages = page["messages"].as_array().unwrap();
        let texts = messages.iter().map(|one| one["text"].as_str().unwrap().to_owned());
        (texts.collect::<Vec<_>>(), page["whole"].as_bool().unwrap())
    };
    let first = say(lobby, "one");
    say(garden, "roses");
    let second = say(lobby, "two");
    say(lobby, "<b>three</b>");
    let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(texts(lobby), (list(&["one", "two", "<b>three</b>"]), true));
    assert_eq!(texts(garden), (list(&["roses"]), true));
    assert_eq!(texts(&format!("{lobby}?after={first}")), (list(&["two", "<b>three</b>"]), false));
    assert_eq!(texts(&format!("{lobby}?after={second}")), (list(&["<b>three</b>"]), false));
    assert!(texts(&format!("{lobby}?after=nobody")).1);
    for number in 0..120 {
        say(lobby, &number.to_string());
    }
    // A gap is told, and a page is a page.
    let (page, whole) = texts(&format!("{lobby}?after={first}"));
    assert_eq!((page.len(), &*page[0], &*page[99], whole), (100, "20", "119", true));

    let message = |author: Value, text: Value| json!({"author": author, "text": text});
    for (path, body, code) in [
        (lobby, message(json!("Ada"), json!("")), "BAD_FIELD"),
        (lobby, message(json!(""), json!("x")), "BAD_FIELD"),
        (lobby, message(json!("Ada"), json!("x".repeat(1_001))), "BAD_FIELD"),
        (lobby, message(json!("x".repeat(41)), json!("x")), "BAD_FIELD"),
        (lobby, message(json!(1), json!(true)), "BAD_FIELD"),
        (lobby, json!("text"), "BAD_JSON"),
        (
            &format!("/api/rooms/{}/messages", "x".repeat(41)),
            message(json!("A"), json!("x")),
            "BAD_FIELD",
        ),
    ] {
        assert_eq!(refusal(&app.send("POST", path, &body)), (400, code.to_owned()), "{body}");
    }
    assert_eq!(refusal(&app.ask("DELETE", lobby)).0, 405);
    assert_eq!(refusal(&app.ask("GET", "/api/rooms")).0, 404);
    assert!(node.stop().success());
}

/// Puts online what npm builds out of a template.
#[track_caller]
fn built(home: &Home, template: &str) -> String {
    let name = format!("my-{template}");
    let directory = home.path(&name);
    if !directory.exists() {
        made(home, template);
    }
    if !directory.join("node_modules").exists() {
        let packages = home.path("my-vue-api/node_modules");
        std::os::unix::fs::symlink(packages, directory.join("node_modules")).unwrap();
    }
    let made = npm(&["run", "build"], &directory).unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    put_online(home, &name, &format!("{name}/dist"));
    name
}

fn npm(words: &[&str], directory: &Path) -> std::io::Result<std::process::Output> {
    Command::new("npm").args(words).current_dir(directory).stdin(Stdio::null()).output()
}

/// One template needs all packages of the others, so that they are fetched once.
#[test]
fn what_npm_builds_is_a_page_with_its_server() {
    let test = "what_npm_builds_is_a_page_with_its_server";
    let home = Home::new();
    made(&home, "vue-api");
    match npm(&["install", "--no-audit", "--no-fund"], &home.path("my-vue-api")) {
        Err(_) => return skipped(test, "there is no npm (Debian package `npm`)"),
        Ok(installed) if !installed.status.success() => {
            return skipped(test, "npm gets no packages here");
        }
        Ok(_) => {}
    }
    let node = home.start();
    let name = built(&home, "vite");
    let app = App::new(&node, &name);
    is_served(&app, &name);
    assert_eq!(app.get("/api/visits"), json!({"visits": 0}));
    for visits in 1..4 {
        assert_eq!(app.ask("POST", "/api/visits").json(), json!({ "visits": visits }));
    }
    assert_eq!(app.get("/api/visits"), json!({"visits": 3}));
    assert_eq!(refusal(&app.ask("GET", "/api/other")), (404, "NOT_FOUND".to_owned()));

    let name = built(&home, "vue");
    is_served(&App::new(&node, &name), &name);
    assert_eq!(App::new(&node, &name).ask("GET", "/api/todos").status, 404);

    let name = built(&home, "vue-api");
    is_served(&App::new(&node, &name), &name);
    let node = keeps_todos(&home, node, &name);
    assert!(node.stop().success());
}
