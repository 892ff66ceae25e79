//! Scripts that loop, allocate, recurse and never settle: each ends its own request with a coded
//! error within its budget, and the next request is answered.

use crate::cell::{Build, Cell, Failure};
use std::time::{Duration, Instant};

/// Runs a statement as the body of a handler, in both styles; a good request follows each time.
fn abuse(statement: &str, good: &str, cpu_ms: u32) -> Vec<Failure> {
    let module = format!(
        "export default async (request) => {{ if (request.url.endsWith('good')) return new Response('fine'); {statement} ; return new Response('survived'); }}"
    );
    let classic = format!(
        "if (request.path.endsWith('good')) return respond('fine'); {statement} ; return respond('survived')"
    );
    [module, classic].iter().map(|source| one(source, good, cpu_ms)).collect()
}

#[expect(clippy::disallowed_methods, reason = "the budget is one of real time")]
fn one(source: &str, good: &str, cpu_ms: u32) -> Failure {
    let mut cell = Build::new(&[("api/main.js", source)])
        .limits(|limits| {
            limits.cpu_ms = cpu_ms;
            limits.wall_ms = 20_000;
            limits.memory_bytes = 24 << 20;
        })
        .start();
    let began = Instant::now();
    let failure = cell.get("/bad").failed().clone();
    assert!(began.elapsed() < Duration::from_secs(20), "{source} took {:?}", began.elapsed());
    let next = cell.get("/good");
    assert!(next.failure.is_none(), "{source}: {failure:?}, then {next:?}");
    assert_eq!(next.text(), good, "{source}");
    failure
}

#[track_caller]
fn ends(code: &str, statements: &[&str]) {
    // Filling memory takes a while in a build without optimisations.
    let cpu_ms = if code == "MEMORY_LIMIT" { 15_000 } else { 150 };
    for statement in statements {
        for failure in abuse(statement, "fine", cpu_ms) {
            assert_eq!(failure.code, code, "{statement}: {failure:?}");
        }
    }
}

#[test]
fn loops_end_at_the_processor_limit() {
    ends(
        "CPU_LIMIT",
        &[
            "while (true) {}",
            "for (;;) {}",
            "do {} while (1)",
            "while (true) { try { while (true) {} } catch {} finally {} }",
            "(function f() { for (;;) try { f.x = 1 } finally { continue } })()",
            "const g = (function* () { while (true) yield 1 })(); for (const x of g) {}",
            "[...Array(1e3)].map(function f() { while (true) {} })",
            "let s = 0; while (true) s += Math.sqrt(s)",
            "JSON.stringify({ toJSON() { while (true) {} } })",
            "new Proxy({}, { get() { while (true) {} } }).x",
            "`${{ toString() { while (true) {} } }}`",
            "Array.from({ length: 3 }, () => { while (true) {} })",
            "[3, 2, 1].sort(() => { while (true) {} })",
            "'x'.replace(/x/, () => { while (true) {} })",
            "const e = new Error(); Object.defineProperty(e, 'message', { get() { while (true) {} } }); throw e",
            "while (true) Promise.resolve()",
            "eval('while (true) {}')",
            "new Function('while (true) {}')()",
        ],
    );
}

#[test]
fn catastrophic_expressions_end_at_the_processor_limit() {
    ends(
        "CPU_LIMIT",
        &[
            "/(a+)+b/.test('a'.repeat(40))",
            "/^(([a-z])+.)+[A-Z]([a-z])+$/.test('a'.repeat(60))",
            "'a'.repeat(50).match(/(a|a)*c/)",
        ],
    );
}

#[test]
fn storms_of_microtasks_end_at_the_processor_limit() {
    ends(
        "CPU_LIMIT",
        &[
            "await new Promise(() => { (function f() { Promise.resolve().then(f) })() })",
            "(function f() { queueMicrotask(f); queueMicrotask(() => 0) })(); await new Promise(() => {})",
            "while (true) await null",
            "for await (const x of (async function* () { while (true) yield 1 })()) {}",
        ],
    );
}

#[test]
fn recursion_ends_at_the_stack_limit() {
    ends(
        "STACK_LIMIT",
        &[
            "(function f() { f() })()",
            "const o = { get x() { return this.x } }; o.x",
            "let a = []; for (let i = 0; i < 1e5; i++) a = [a]; JSON.stringify(a)",
            "const p = new Proxy({}, { get: (t, k, r) => r[k] }); p.x",
            "class A { constructor() { new A() } } new A()",
            "(async function f() { await f() })(); (function f() { f() })()",
            "[1].map(function f() { [1].map(f) })",
        ],
    );
}

#[test]
fn memory_ends_at_the_memory_limit() {
    ends(
        "MEMORY_LIMIT",
        &[
            "const a = []; while (true) a.push(new Array(1000).fill(0))",
            "let s = 'x'; while (true) s += s + '\\u1234'.repeat(s.length)",
            "const a = []; while (true) a.push(new Uint8Array(1 << 20))",
            "new ArrayBuffer(1 << 30)",
            "const m = new Map(); for (let i = 0; ; i++) m.set(i, { i })",
            "'x'.repeat(1 << 28)",
            "const a = []; while (true) a.push(() => a)",
        ],
    );
}

#[test]
fn what_never_settles_is_told_at_once() {
    ends(
        "NEVER_SETTLED",
        &["await new Promise(() => {})", "await { then() {} }", "await Promise.race([])"],
    );
}

#[test]
fn what_nothing_can_interrupt_is_bounded_or_refused() {
    let mut cell = Cell::new(&[(
        "api/main.js",
        "const attempt = async (run) => { try { await run(); return 'done'; } catch (error) { return error.name; } };
         export default async () => Response.json([
           await attempt(async () => {
             const key = await crypto.subtle.importKey('raw', new Uint8Array(1), 'PBKDF2', false, ['deriveBits']);
             await crypto.subtle.deriveBits({ name: 'PBKDF2', hash: 'SHA-256', salt: new Uint8Array(1), iterations: 3000000 }, key, 256);
           }),
           await attempt(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)),
           await attempt(() => 2n ** 100000000n),
           await attempt(() => crypto.getRandomValues(new Uint8Array(70000))),
         ]);",
    )]);
    assert_eq!(
        cell.get("/").text(),
        r#"["OperationError","TypeError","RangeError","QuotaExceededError"]"#
    );
}

#[test]
fn timers_are_bounded_and_end_with_their_request() {
    let mut cell = Cell::new(&[(
        "api/main.js",
        "let ticks = 0;
         export default async (request) => {
           if (request.url.endsWith('ticks')) { await new Promise((r) => setTimeout(r, 30)); return new Response(String(ticks)); }
           if (request.url.endsWith('many')) { for (;;) setTimeout(() => {}, 1e6); }
           setInterval(() => ticks++, 1);
           return new Response('ok');
         };",
    )]);
    assert_eq!(cell.get("/").text(), "ok");
    assert_eq!(cell.get("/ticks").text(), "0");
    assert!(cell.get("/many").failed().message.contains("10000 timers"));
    assert_eq!(cell.get("/ticks").text(), "0");
}

#[test]
fn log_lines_are_bounded() {
    let mut cell = Build::new(&[(
        "api/main.js",
        "export default () => { for (let i = 0; i < 1000; i++) console.log('line', i, 'x'.repeat(i === 0 ? 1e6 : 1)); return new Response('ok'); };",
    )])
    .limits(|limits| limits.log_lines = 10)
    .start();
    let answer = cell.get("/");
    assert_eq!(answer.logs.len(), 11);
    assert!(answer.logs[0].len() <= 16 << 10, "{}", answer.logs[0].len());
    assert!(answer.logs[10].contains("more lines"));
}

#[test]
fn a_response_has_a_size() {
    for source in [
        "export default () => new Response('x'.repeat(2000));",
        "export default () => new Response(new Uint8Array(2000));",
        "respond('x'.repeat(2000))",
        "respond(200, '', { 'x-long': 'x'.repeat(70000) })",
    ] {
        let mut cell = Build::new(&[("api/main.js", source)])
            .limits(|limits| limits.response_bytes = 1000)
            .start();
        assert_eq!(cell.get("/").failed().code, "RESPONSE_TOO_LARGE");
    }
}

#[test]
fn messages_and_stacks_have_a_size() {
    let mut cell = Cell::new(&[("api/main.js", "throw new Error('x'.repeat(1e6))")]);
    let failure = cell.get("/").failed().clone();
    assert!(failure.message.len() <= 16 << 10 && failure.stack.len() <= 16 << 10);
}

#[test]
fn a_storm_takes_nobody_else_down_for_good() {
    let mut cell = Build::new(&[(
        "api/main.js",
        "export default async (request) => {
           const storm = () => Promise.resolve().then(storm);
           // The interrupt ends one chain, and the others go on.
           if (request.url.endsWith('storm')) { for (let i = 0; i < 200; i++) storm(); await new Promise(() => {}); }
           await new Promise((r) => setTimeout(r, 50));
           return new Response('fine');
         };",
    )])
    .limits(|limits| limits.cpu_ms = 100)
    .start();
    let (bystander, storm) = (cell.ask("GET", "/", "", b""), cell.ask("GET", "/storm", "", b""));
    let answers = cell.answers(&[bystander, storm]);
    assert_eq!(answers[&storm].failed().code, "CPU_LIMIT");
    assert!(answers[&storm].failed().replace);
    assert_eq!(answers[&bystander].failed().code, "CELL_RESTARTED");
    assert_eq!(cell.get("/").text(), "fine");
}

#[test]
fn the_platform_survives_what_scripts_do_to_it() {
    for spoil in [
        "Object.prototype.then = 1",
        "Array.prototype.push = null; Array.prototype[Symbol.iterator] = null",
        "Promise.prototype.then = () => { throw 1 }",
        "globalThis.Response = null; globalThis.Headers = null",
        "JSON.stringify = null; JSON.parse = null; String.prototype.split = null",
        "Object.defineProperty(Object.prototype, 'get', { get() { throw 1 } })",
        "throw { get message() { throw 1 }, get stack() { throw 2 } }",
        "throw null",
        "const e = new Error(); e.stack = { toString() { throw 1 } }; throw e",
        "Error.prepareStackTrace = () => { throw 1 }; throw new Error('x')",
        "Error.prototype.toString = () => { throw 1 }; undefined.x",
        "delete globalThis.fazt; globalThis.console = null",
        "throw Symbol('x')",
        "throw Object.create(null)",
        "throw new Proxy({}, { get() { throw 1 }, getPrototypeOf() { throw 2 } })",
    ] {
        let source = format!("{spoil}; respond('x')");
        let mut cell = Cell::new(&[("api/main.js", source.as_str())]);
        // Some of these still answer; all of them end.
        let _ended = cell.get("/");
        let _again = cell.get("/");
    }
}
