//! What a node asks of an engine besides requests: checks of sources, the prelude.

use crate::cell::{Build, Cell};
use fazt_js_engine::protocol::{FromCell, Role, Style, ToCell};

/// The style, or line and column of what is wrong, and the JavaScript of TypeScript.
fn check(path: &str, source: &str, role: Role) -> (Result<Style, (u32, u32, String)>, String) {
    let cell = Cell::bare();
    cell.send(&ToCell::Check { id: 9, path, source, role });
    let frame = cell.frame();
    let Ok(FromCell::Checked { id: 9, result }) = FromCell::decode(&frame) else {
        panic!("no answer to a check")
    };
    match result {
        Ok((style, code)) => (Ok(style), code.to_owned()),
        Err(problem) => {
            let place = (problem.line, problem.column, problem.message.to_owned());
            (Err(place), String::new())
        }
    }
}

#[test]
fn the_style_is_told_by_syntax_and_ending() {
    for (path, source, role, style) in [
        ("api/main.js", "export default () => 1", Role::Api, Style::Module),
        ("api/main.js", "import './x.js'", Role::Api, Style::Module),
        ("api/main.js", "respond(1)", Role::Api, Style::Classic),
        ("api/main.js", "return respond(1)", Role::Api, Style::Classic),
        ("api/main.js", "with (Math) { respond(abs(-1)) }", Role::Api, Style::Classic),
        (
            "api/main.js",
            "const x = await fetch('http://e.org'); respond(x)",
            Role::Api,
            Style::Classic,
        ),
        ("api/main.js", "", Role::Api, Style::Classic),
        ("api/main.mjs", "respond(1)", Role::Api, Style::Module),
        ("api/main.cjs", "respond(1)", Role::Api, Style::Classic),
        ("main.js", "res.send('x')", Role::Root, Style::Root),
        ("main.js", "export default () => 1", Role::Root, Style::Module),
        ("api/x.ts", "export default (x: number): number => x", Role::Api, Style::Module),
        ("api/x.ts", "const x: number = 1; respond(x)", Role::Api, Style::Classic),
    ] {
        assert_eq!(check(path, source, role).0, Ok(style), "{path}: {source}");
    }
}

#[test]
fn errors_have_line_and_column() {
    for (path, source, line) in [
        ("api/main.js", "respond(1)\nconst = 2", 2),
        ("api/main.js", "export default () => {\n\n  return ]\n}", 3),
        ("api/main.ts", "const x: number = 1;\nconst y: = 2;", 2),
        ("api/main.mjs", "return 1", 1),
        ("api/data.json", "{\n  oops\n}", 2),
        ("api/main.js", "'unterminated", 1),
    ] {
        let (found, column, message) = check(path, source, Role::Api).0.unwrap_err();
        assert_eq!(found, line, "{source}: {message}");
        assert!(column > 0 && !message.is_empty(), "{source}: {column} {message}");
    }
}

#[test]
fn typescript_becomes_javascript_that_a_cell_takes_as_it_is() {
    let source = "enum Color { Red = 'red' }\nclass A { constructor(private x: number) {} get() { return this.x; } }\nexport default () => new Response(Color.Red + new A(1).get());";
    let (style, code) = check("api/main.ts", source, Role::Api);
    assert_eq!(style, Ok(Style::Module));
    let mut cell = Cell::new(&[("api/main.js", &code)]);
    assert_eq!(cell.get("/").text(), "red1");
}

#[test]
fn a_cell_runs_from_the_prelude_of_another() {
    let bare = Cell::bare();
    bare.send(&ToCell::Compile);
    let frame = bare.frame();
    let Ok(FromCell::Prelude { bytecode }) = FromCell::decode(&frame) else { panic!("no prelude") };
    assert!(bytecode.len() > 10_000);
    for (source, body) in [
        (
            "import _ from 'fazt:lodash'; export default async () => new Response([_.add(1, 1), await new Blob(['b']).text(), (await crypto.subtle.digest('SHA-1', new Uint8Array())).byteLength, await new Response(new ReadableStream({ start(c) { c.close() } })).text(), new URLPattern({ pathname: '/x' }).pathname].join());",
            "2,b,20,,/x",
        ),
        ("respond(require('lodash').add(1, 1) + '')", "2"),
        ("return respond('body')", "body"),
    ] {
        let mut cell = Build::new(&[("api/main.js", source)]).prelude(bytecode).start();
        assert_eq!(cell.get("/").text(), body);
        assert_eq!(cell.get("/").text(), body);
    }
    // The prelude of another version is left aside.
    let mut cell =
        Build::new(&[("api/main.js", "respond('x')")]).prelude(b"something else").start();
    assert_eq!(cell.get("/").text(), "x");
}
