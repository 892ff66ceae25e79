//! Calls into the node: promises in modules, blocking in classic scripts, bytes, errors.

use crate::cell::Build;

fn echo(name: &str, arguments: &str) -> Result<String, (String, String)> {
    match name {
        "app.kv.get" => Ok("{\"n\":1}".to_owned()),
        "bad" => Err(("NO_SUCH".to_owned(), "there is no such thing".to_owned())),
        "never" => Err(("NEVER".to_owned(), String::new())),
        _ => Ok(arguments.to_owned()),
    }
}

const NAMES: [&str; 5] = ["app.kv.get", "bad", "echo", "never", "net.fetch"];

fn cell(source: &str) -> crate::cell::Cell {
    Build::new(&[("api/main.js", source)]).bindings(&NAMES, echo).env(r#"{"KEY":"v"}"#).start()
}

#[test]
fn a_call_is_a_promise_in_a_module_and_blocks_below_sync() {
    let mut cell = cell(
        "export default async () => {
           const promise = fazt.app.kv.get('k');
           const now = fazt.sync.app.kv.get('k');
           return Response.json([promise instanceof Promise, now, await promise]);
         };",
    );
    assert_eq!(cell.get("/").text(), r#"[true,{"n":1},{"n":1}]"#);
    let waits: Vec<bool> = cell.calls.iter().map(|(_, _, waits)| *waits).collect();
    assert_eq!(waits, [false, true]);
}

#[test]
fn a_call_blocks_in_a_classic_script() {
    let mut cell = cell("respond(fazt.app.kv.get('k'))");
    assert_eq!(cell.get("/").text(), r#"{"n":1}"#);
    assert!(cell.calls[0].2);
}

#[test]
fn bytes_travel_in_both_directions() {
    let mut cell = cell(
        "export default async () => {
           const [a, [b]] = await fazt.echo(new Uint8Array([1, 2, 255]), [new Uint8Array([9]).buffer], undefined);
           return Response.json([a instanceof Uint8Array, [...a], [...b]]);
         };",
    );
    assert_eq!(cell.get("/").text(), "[true,[1,2,255],[9]]");
    assert_eq!(cell.calls[0].1, r#"[{"$bytes":"AQL/"},[{"$bytes":"CQ=="}]]"#);
}

#[test]
fn a_refusal_is_an_error_with_a_code() {
    for source in [
        "export default async () => { try { await fazt.bad(); } catch (e) { return Response.json([e instanceof Error, e.code, e.kind, e.message]); } };",
        "try { fazt.bad() } catch (e) { respond([e instanceof Error, e.code, e.kind, e.message]) }",
    ] {
        let mut cell = cell(source);
        assert_eq!(cell.get("/").text(), r#"[true,"NO_SUCH","invalid","there is no such thing"]"#);
    }
}

#[test]
fn what_needs_no_node_asks_no_node() {
    let mut cell = cell(
        "export default (request, env) => Response.json([fazt.app.id, fazt.app.name, fazt.app.url, fazt.version, fazt.env.get('KEY'),
           fazt.env.get('x', 'y'), fazt.env.has('toString'), fazt.env.all(), env.KEY, fazt.session.id()]);",
    );
    assert_eq!(
        cell.get("/").text(),
        r#"["app_1","blog","https://blog.example.org","0.1.0","v","y",false,{"KEY":"v"},"v",null]"#
    );
    assert!(cell.calls.is_empty());
}

#[test]
fn calls_of_one_turn_are_all_sent_before_any_is_answered() {
    let mut cell = cell(
        "export default async () => Response.json((await Promise.all([1, 2, 3].map((n) => fazt.echo(n)))).flat());",
    );
    assert_eq!(cell.get("/").text(), "[1,2,3]");
}

#[test]
fn a_plugin_script_runs_in_every_realm_after_the_bindings() {
    let script = "fazt.app.twice = (x) => fazt.sync.echo(x, x);";
    for source in
        ["export default () => Response.json(fazt.app.twice(2));", "respond(fazt.app.twice(2))"]
    {
        let mut cell = Build::new(&[("api/main.js", source)])
            .bindings(&NAMES, echo)
            .script("twice", script)
            .start();
        assert_eq!(cell.get("/").text(), "[2,2]");
        assert_eq!(cell.get("/").text(), "[2,2]");
    }
}

#[test]
fn an_answer_that_never_comes_ends_at_the_wall() {
    let mut cell = Build::new(&[("api/main.js", "export default () => fazt.never();")])
        .bindings(&NAMES, echo)
        .limits(|limits| limits.wall_ms = 100)
        .start();
    assert_eq!(cell.get("/").failed().code, "WALL_LIMIT");
    let mut cell = Build::new(&[("api/main.js", "fazt.never(); respond('late')")])
        .bindings(&NAMES, echo)
        .limits(|limits| limits.wall_ms = 100)
        .start();
    assert_eq!(cell.get("/").failed().code, "FUNCTION_ERROR");
}

#[test]
fn fetch_is_a_call() {
    let answer = r#"{"status":201,"headers":[["x-a","1"],["x-a","2"]],"body":{"$bytes":"aGk="},"url":"https://e.org/"}"#;
    let mut cell = Build::new(&[(
        "api/main.js",
        "export default async () => {
           const r = await fetch('https://e.org', { method: 'post', body: 'b', headers: { 'X-B': '2' } });
           return Response.json([r.status, r.ok, r.headers.get('x-a'), await r.text(), r.url]);
         };",
    )])
    .bindings(&NAMES, move |_, _| Ok(answer.to_owned()))
    .start();
    assert_eq!(cell.get("/").text(), r#"[201,true,"1, 2","hi","https://e.org/"]"#);
    assert_eq!(
        cell.calls[0].1,
        r#"["https://e.org/",{"method":"POST","headers":[["x-b","2"],["content-type","text/plain;charset=UTF-8"]],"redirect":"follow","body":"b"}]"#
    );
    let mut cell = Build::new(&[(
        "api/main.js",
        "const r = fazt.net.fetch('https://e.org', { auth: 'KEY', timeout: 5 }); respond([r.status, r.ok, r.headers['x-a'], r.text()])",
    )])
    .bindings(&NAMES, move |_, _| Ok(answer.to_owned()))
    .start();
    assert_eq!(cell.get("/").text(), r#"[201,true,"1, 2","hi"]"#);
    assert_eq!(
        cell.calls[0].1,
        r#"["https://e.org",{"method":"GET","headers":[],"redirect":"follow","auth":"KEY","timeout":5}]"#
    );
}

#[test]
fn jobs_have_methods_that_ask_the_node() {
    let source = "export default async (job) => { job.progress(50); job.log('half'); return [job.cancelled, job.getCheckpoint()]; };";
    let mut cell = Build::new(&[("jobs/a.js", source)])
        .bindings(&["job.progress", "job.log", "job.cancelled", "job.getCheckpoint"], |name, _| {
            Ok(match name {
                "job.cancelled" => "false",
                "job.getCheckpoint" => "{\"at\":3}",
                _ => "",
            }
            .to_owned())
        })
        .start();
    let answer = cell.job("jobs/a.js", r#"{"id":"j1","data":null}"#);
    assert_eq!(answer.outcome.as_deref(), Some(r#"[false,{"at":3}]"#));
    assert_eq!(cell.calls[0], ("job.progress".to_owned(), r#"["j1",50]"#.to_owned(), true));
}
