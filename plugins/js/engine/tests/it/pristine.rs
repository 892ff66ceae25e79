//! Classic scripts find their realm as new, whatever the one before did.

use crate::cell::{Build, Cell};

#[test]
fn the_worst_script_leaves_nothing_to_the_next() {
    // Each does harm when `?harm` says so; without, it tells what it finds.
    for harm in [
        "globalThis.left = 1",
        "Object.freeze(globalThis)",
        "delete globalThis.JSON; delete Array.prototype.push; Array.prototype[Symbol.iterator] = null",
        "Object.defineProperty(Object.prototype, 'then', { get() { throw 1 } })",
        "for (;;) {}",
        "(function storm() { Promise.resolve().then(storm); Promise.resolve().then(storm) })()",
        "setInterval(() => { globalThis.left = 1 }, 0); await new Promise(() => {})",
        "const all = []; for (;;) all.push(new Array(1000).fill(all.length))",
        "let s = 'x'; for (;;) s += s",
        "new ArrayBuffer(40e6); globalThis.left = new Uint8Array(8e6).fill(7)",
        "require('lodash').left = 1; require('./lib.js').left = 1",
        "(function deep() { deep() })()",
        "fazt.app.left = 1; console.log = null; globalThis.respond = null",
        "throw { toString() { for (;;) {} } }",
        "globalThis.left = new WeakRef({}); new FinalizationRegistry(() => {}).register({}, 1)",
        "[].constructor.prototype.concat = async () => {}; new Response('x'); new Blob(['x'])",
    ] {
        let source = format!(
            "if (request.query.harm) {{ {harm} }}
             const lodash = require('lodash'), lib = require('./lib.js');
             respond([typeof left, JSON.stringify([1]), [2].concat(3), [...'ab'], lodash.left === undefined,
                      lib.left === undefined, Object.isFrozen(globalThis), fazt.app.left === undefined,
                      typeof console.log, 'then' in {{}}])"
        );
        let files = [("api/main.js", source.as_str()), ("api/lib.js", "exports.made = 1")];
        let build = Build::new(&files).limits(|limits| {
            (limits.cpu_ms, limits.wall_ms, limits.memory_bytes) = (60, 400, 16 << 20);
        });
        let mut cell = build.start();
        let clean = r#"["undefined","[1]",[2,3],["a","b"],true,true,false,true,"function",false]"#;
        for round in 0..3 {
            assert_eq!(cell.get("/api").text(), clean, "round {round} of: {harm}");
            drop(cell.get("/api?harm=1"));
        }
        assert_eq!(cell.get("/api").text(), clean, "after: {harm}");
    }
}

#[test]
fn realms_that_are_one_and_the_same_draw_different_numbers() {
    let mut cell = Cell::new(&[("api/main.js", "respond([Math.random(), Math.random.name])")]);
    let seen: std::collections::HashSet<_> = (0..200).map(|_| cell.get("/api").text()).collect();
    assert_eq!(seen.len(), 200);
    assert!(seen.iter().all(|text| text.starts_with("[0.") && text.contains(r#""random""#)));
}

#[test]
fn what_was_asked_for_once_is_there_and_still_runs_for_each() {
    let mut cell = Cell::new(&[
        (
            "api/main.js",
            "const n = require('./count.js'); respond([n.next(), n.next(), new URL('http://a/b').pathname])",
        ),
        ("api/count.js", "let n = 0; exports.next = () => ++n"),
    ]);
    for _ in 0..4 {
        assert_eq!(cell.get("/api").text(), r#"[1,2,"/b"]"#);
    }
}
