//! Classic scripts: the predecessor's runtime as its documentation has it.

use crate::cell::{Answer, Build, Cell};
use fazt_js_engine::protocol::Style;

fn run(source: &str) -> Answer {
    let mut cell = Cell::new(&[("api/main.js", source)]);
    assert_eq!(cell.styles, [Style::Classic], "{source}");
    cell.get("/api/x?a=1&a=2&b=%20")
}

#[track_caller]
fn answers(source: &str, status: u16, body: &str) {
    let answer = run(source);
    assert_eq!((answer.status, answer.text().as_str()), (status, body), "{source}");
}

#[test]
fn every_form_of_response_is_delivered() {
    answers("respond({a:1})", 200, r#"{"a":1}"#);
    answers("respond(404,{e:1})", 404, r#"{"e":1}"#);
    answers("respond(204)", 204, "");
    answers("respond(201,'x',{'X-A':'1'})", 201, "x");
    answers("'hi'", 200, "hi");
    answers("", 200, "");
    answers("[1,2]", 200, "[1,2]");
    answers("42", 200, "42");
    answers("true", 200, "true");
    answers("({items:[]})", 200, r#"{"items":[]}"#);
    answers("({status:'done', body:'x'})", 200, r#"{"status":"done","body":"x"}"#);
    answers("({status:201, body:{a:1}, headers:{'x-b':'2'}})", 201, r#"{"a":1}"#);
    answers("({status:202})", 202, "");
    answers("({status:202, title:'t'})", 200, r#"{"status":202,"title":"t"}"#);
    answers("respond('test')", 200, "test");
    answers("new Uint8Array([104,105])", 200, "hi");
    answers("new Response('web', {status: 203})", 203, "web");
}

#[test]
fn an_answer_counts_in_any_position() {
    answers("return respond(400, 'early'); respond('late')", 400, "early");
    answers("if (true) { respond(1 + 1 + '') } var y = 2", 200, "2");
    answers("respond('first'); respond('last'); 'completion'", 200, "last");
    answers("if (true) return; respond('x')", 200, "");
    answers(
        "function handler(request) { return { path: request.path } }",
        200,
        r#"{"path":"/api/x"}"#,
    );
    answers("const handler = async (request) => respond(request.query.a)", 200, "1");
    answers("module.exports = (request) => 'exported'", 200, "exported");
    answers("function handler() { return respond('once') } handler(request)", 200, "once");
    answers(
        "let n = 0; async function handler() { n++; await null; return { n } } handler(request)",
        200,
        r#"{"n":1}"#,
    );
    answers("const x = await Promise.resolve('awaited'); respond(x)", 200, "awaited");
    answers(
        "(async () => { await new Promise(r => setTimeout(r, 2)); respond('later') })()",
        200,
        "later",
    );
}

#[test]
fn types_and_header_lists_are_kept() {
    let answer = run(
        "respond(200, 'x', {'Set-Cookie': ['a=1', 'b=2'], 'Content-Type': 'text/html', 'X-N': 5})",
    );
    assert_eq!(
        answer.headers,
        [("set-cookie", "a=1"), ("set-cookie", "b=2"), ("content-type", "text/html"), ("x-n", "5")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(run("respond('x')").header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(run("respond({})").header("content-type"), Some("application/json"));
    assert_eq!(run("respond(200, '{}', {'content-type':'application/json'})").text(), "{}");
}

#[test]
fn the_request_has_everything() {
    let mut cell = Cell::new(&[(
        "api/main.js",
        "respond([request.method, request.path, request.query, request.headers['x-one'], request.headers['X-One'], Object.keys(request.headers),
           request.ip, request.host, request.url, request.body === undefined])",
    )]);
    let answer = cell.request("GET", "/api/a%20b?q=1&q=2&__proto__=x", "x-one\n1\n", b"ignored");
    assert_eq!(
        answer.text(),
        r#"["GET","/api/a b",{"q":"1","__proto__":"x"},"1","1",["x-one"],"203.0.113.7","blog.example.org","https://blog.example.org/api/a%20b?q=1&q=2&__proto__=x",true]"#
    );
}

#[test]
fn bodies_are_parsed_by_their_type() {
    let mut cell = Cell::new(&[(
        "api/main.js",
        "const f = request.files.f; respond([request.body, f && [f.name, f.type, f.size, f.data.byteLength]])",
    )]);
    let mut post = |kind: &str, body: &str| {
        cell.request("POST", "/api", &format!("content-type\n{kind}\n"), body.as_bytes())
    };
    assert_eq!(
        post("application/json; charset=utf-8", r#"{"k":[1]}"#).text(),
        r#"[{"k":[1]},null]"#
    );
    assert_eq!(
        post("application/x-www-form-urlencoded", "a=1&a=2&b=x+y").text(),
        r#"[{"a":"1","b":"x y"},null]"#
    );
    assert_eq!(post("text/plain", "plain").text(), r#"["plain",null]"#);
    let form = "--b\r\nContent-Disposition: form-data; name=\"t\"\r\n\r\nv\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.bin\"\r\nContent-Type: image/png\r\n\r\n\0\u{1}\r\n--b--\r\n";
    assert_eq!(
        post("multipart/form-data; boundary=b", form).text(),
        r#"[{"t":"v"},["a.bin","image/png",2,2]]"#
    );
    assert_eq!(post("application/json", "{oops").failed().code, "MALFORMED_BODY");
    assert_eq!(
        post("multipart/form-data; boundary=b", "--b\r\nnothing").failed().code,
        "MALFORMED_BODY"
    );
    let cut_off = "--b\r\nContent-Disposition: form-data; name=\"t\"\r\n\r\nno end";
    assert_eq!(post("multipart/form-data; boundary=b", cut_off).failed().code, "MALFORMED_BODY");
    assert_eq!(post("application/json", "").text(), "[null,null]");
}

#[test]
fn nothing_is_left_of_an_earlier_request() {
    let mut cell = Cell::new(&[(
        "api/main.js",
        "const seen = [globalThis.x, [].y, typeof z0, Object.prototype.p, String.prototype.trim.mark];
         globalThis.x = 1; Array.prototype.y = 1; var z0 = 1; Object.prototype.p = 1; String.prototype.trim.mark = 1;
         let z = 1; const once = 2;
         seen",
    )]);
    let clean = r#"[null,null,"undefined",null,null]"#;
    for _ in 0..3 {
        // `var z0` is hoisted, so its type is undefined both times.
        assert_eq!(cell.get("/api").text(), clean);
    }
}

#[test]
fn require_is_relative_and_runs_a_file_once() {
    let mut cell = Cell::new(&[
        (
            "api/main.js",
            "const a = require('./lib/a.js'), b = require('./lib/a'), d = require('../data/d.json');
             respond([a === b, a.n, a.up, d.x, require('lodash').capitalize('abc')])",
        ),
        ("api/lib/a.js", "globalThis.loads = (globalThis.loads || 0) + 1; exports.n = loads; exports.up = require('../up.js');"),
        ("api/up.js", "module.exports = 'up';"),
        ("data/d.json", r#"{"x":5}"#),
    ]);
    assert_eq!(cell.get("/api").text(), r#"[true,1,"up",5,"Abc"]"#);
    for (id, why) in [
        ("./missing.js", "no such file"),
        ("../../x.js", "outside of the app"),
        ("left-pad", "no such file"),
    ] {
        let answer = run(&format!("try {{ require('{id}') }} catch (e) {{ respond(e.message) }}"));
        let text = answer.text();
        assert!(
            text.starts_with(&format!("cannot require '{id}'")) && text.contains(why),
            "{text}"
        );
    }
}

#[test]
fn errors_point_into_the_source_in_every_form() {
    for (source, line, column) in [
        ("const a = 1;\n  nope();", 2, 3),
        ("nope(); return respond(1)", 1, 1),
        ("\nawait null; nope()", 2, 13),
    ] {
        let failure = run(source).failed().clone();
        assert_eq!((failure.line, failure.column), (line, column), "{source} {failure:?}");
        assert_eq!(failure.message, "ReferenceError: nope is not defined");
    }
    let mut cell =
        Cell::new(&[("api/main.js", "require('./b.js')"), ("api/b.js", "throw new Error('in b')")]);
    let failure = cell.get("/").failed().clone();
    assert_eq!(
        (failure.file.as_str(), failure.line, failure.column),
        ("api/b.js", 1, 11),
        "{failure:?}"
    );
}

#[test]
fn the_root_style_has_its_own_globals() {
    let mut cell = Build::new(&[(
        "main.js",
        "if (req.path === '/count') { const n = (db.get('n') || 0) + 1; db.set('n', n); res.header('X-N', n).json({ n, q: req.query, key: process.env.KEY }); }
         else { res.status(404).send('<p>nothing</p>'); }",
    )])
    .env(r#"{"KEY":"v"}"#)
    .bindings(&["app.kv.get", "app.kv.set"], |name, _| {
        Ok(if name == "app.kv.get" { "6".to_owned() } else { String::new() })
    })
    .start();
    assert_eq!(cell.styles, [Style::Root]);
    let answer = cell.get("/count?a=1");
    assert_eq!(
        (answer.text().as_str(), answer.header("x-n")),
        (r#"{"n":7,"q":"a=1","key":"v"}"#, Some("7"))
    );
    let missing = cell.get("/other");
    assert_eq!((missing.status, missing.text().as_str()), (404, "<p>nothing</p>"));
}

#[test]
fn jobs_and_events_run_in_both_styles() {
    let mut cell = Cell::new(&[
        ("api/main.js", "respond('x')"),
        ("jobs/a.js", "module.exports = (job) => job.data.n * 2;"),
        ("jobs/b.js", "function handler(job) { return job.id }"),
        ("jobs/c.js", "export default async function (job) { await null; return { id: job.id }; }"),
        ("jobs/d.js", "sleep(5); throw new Error('no ' + job.id)"),
        ("api/cron.js", "export function scheduled(event) { return event.cron; }"),
        ("api/old.js", "event.cron + '!'"),
    ]);
    let job = r#"{"id":"j1","data":{"n":21}}"#;
    assert_eq!(cell.job("jobs/a.js", job).outcome.as_deref(), Some("42"));
    assert_eq!(cell.job("jobs/b.js", job).outcome.as_deref(), Some("\"j1\""));
    assert_eq!(cell.job("jobs/c.js", job).outcome.as_deref(), Some(r#"{"id":"j1"}"#));
    assert_eq!(cell.job("jobs/d.js", job).failed().message, "Error: no j1");
    let event = r#"{"cron":"* * * * *"}"#;
    assert_eq!(
        cell.event("api/cron.js", "scheduled", event).outcome.as_deref(),
        Some("\"* * * * *\"")
    );
    assert_eq!(
        cell.event("api/old.js", "scheduled", event).outcome.as_deref(),
        Some("\"* * * * *!\"")
    );
    assert_eq!(cell.job("jobs/missing.js", job).failed().code, "LOAD_ERROR");
}
