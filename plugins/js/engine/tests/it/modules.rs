//! Module style: what handlers may be, what they are given, what they may answer.

use crate::cell::{Build, Cell};
use fazt_js_engine::protocol::Style;

#[test]
fn a_module_answers_with_a_response() {
    let mut cell = Cell::new(&[(
        "api/main.js",
        "export default { fetch(request) { return Response.json({ hello: 'world', method: request.method, url: request.url }); } };",
    )]);
    assert_eq!(cell.styles, [Style::Module]);
    let answer = cell.get("/api/hello?a=1");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.text(),
        r#"{"hello":"world","method":"GET","url":"https://blog.example.org/api/hello?a=1"}"#
    );
}

#[test]
fn handlers_are_functions_objects_or_named_methods() {
    for (source, expected) in [
        ("export default function (request) { return new Response('function'); }", "function"),
        ("export default async (request) => new Response('arrow');", "arrow"),
        ("export function GET() { return new Response('named'); }", "named"),
        (
            "const app = { async fetch() { await null; return new Response(this.x); }, x: 'this' }; export default app;",
            "this",
        ),
    ] {
        let mut cell = Cell::new(&[("api/main.js", source)]);
        assert_eq!(cell.get("/api").text(), expected, "{source}");
    }
    let mut cell =
        Cell::new(&[("api/main.js", "export function GET() { return new Response('x'); }")]);
    let refused = cell.request("POST", "/api", "", b"");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    let mut cell = Cell::new(&[("api/main.js", "export const nothing = 1;")]);
    assert_eq!(cell.get("/api").failed().code, "NO_HANDLER");
}

#[test]
fn what_is_no_response_is_an_error_that_says_so() {
    let mut cell = Cell::new(&[("api/main.js", "export default () => ({ status: 200 });")]);
    let failure = cell.get("/api").failed().clone();
    assert_eq!(failure.code, "FUNCTION_ERROR");
    assert!(failure.message.contains("not a Response"), "{}", failure.message);
}

#[test]
fn errors_point_into_the_source() {
    let mut cell = Cell::new(&[(
        "api/main.js",
        "export default () => go();\n\nfunction go() {\n  const x = undefined;\n  return x.y;\n}\n",
    )]);
    let failure = cell.get("/api").failed().clone();
    assert_eq!((failure.file.as_str(), failure.line, failure.column), ("api/main.js", 5, 10));
    assert!(failure.message.starts_with("TypeError: "), "{}", failure.message);
    assert!(failure.stack.contains("at go (api/main.js:5:10)"), "{}", failure.stack);
    assert!(!failure.stack.contains("fazt:"), "{}", failure.stack);
}

#[test]
fn a_syntax_error_is_reported_before_any_request() {
    let mut cell = Cell::new(&[("api/main.js", "export default () => {\n  const = 1;\n};\n")]);
    assert_eq!(cell.styles, [Style::Broken]);
    let error = cell.load_errors[0].clone();
    assert_eq!((error.file.as_str(), error.line), ("api/main.js", 2), "{error:?}");
    assert!(error.message.starts_with("SyntaxError"), "{error:?}");
    let failure = cell.get("/api").failed().clone();
    assert_eq!((failure.code.as_str(), failure.line), ("LOAD_ERROR", 2));
}

#[test]
fn module_state_lives_as_long_as_the_realm() {
    let mut cell = Cell::new(&[(
        "api/main.js",
        "let count = 0; export default () => new Response(String(++count));",
    )]);
    assert_eq!(cell.get("/api").text(), "1");
    assert_eq!(cell.get("/api").text(), "2");
}

#[test]
fn imports_are_relative_to_the_importing_file_and_stay_in_the_app() {
    let mut cell = Cell::new(&[
        (
            "api/main.js",
            "import { name } from './lib/name.js'; import data from '../data/x.json'; export default () => new Response(name + data.list.length);",
        ),
        (
            "api/lib/name.js",
            "import { word } from './deep/word.js'; export const name = word + '!';",
        ),
        ("api/lib/deep/word.js", "export const word = 'hi';"),
        ("data/x.json", r#"{"list":[1,2,3]}"#),
    ]);
    assert_eq!(cell.get("/api").text(), "hi!3");
    for source in [
        "import '../../etc/passwd'; export default () => new Response('');",
        // Above the root and back again is outside, too.
        "import '../../api/main.js'; export default () => new Response('');",
        "import './missing.js'; export default () => new Response('');",
        "import 'left-pad'; export default () => new Response('');",
        "import 'fazt:platform/parts'; export default () => new Response('');",
    ] {
        let mut cell = Cell::new(&[("api/main.js", source)]);
        assert_eq!(cell.get("/api").failed().code, "LOAD_ERROR", "{source}");
    }
}

#[test]
fn bodies_are_read_in_every_form() {
    let mut cell = Cell::new(&[(
        "api/main.js",
        "export default async (request) => {
           const kind = new URL(request.url).searchParams.get('as');
           if (kind === 'form') { const form = await request.formData(); return Response.json([...form.keys(), form.get('f')?.name, await form.get('f')?.text()]); }
           const value = await request[kind]();
           return Response.json([kind === 'arrayBuffer' ? value.byteLength : value, request.bodyUsed]);
         };",
    )]);
    assert_eq!(
        cell.request("POST", "/?as=text", "", "h\u{e9}".as_bytes()).text(),
        "[\"h\u{e9}\",true]"
    );
    assert_eq!(cell.request("POST", "/?as=json", "", b"{\"a\":1}").text(), r#"[{"a":1},true]"#);
    assert_eq!(cell.request("POST", "/?as=arrayBuffer", "", b"12345").text(), "[5,true]");
    let form = "--b\r\ncontent-disposition: form-data; name=\"t\"\r\n\r\nv\r\n--b\r\ncontent-disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nfile\r\n--b--\r\n";
    let answer = cell.request(
        "POST",
        "/?as=form",
        "content-type\nmultipart/form-data; boundary=b\n",
        form.as_bytes(),
    );
    assert_eq!(answer.text(), r#"["t","f","a.txt","file"]"#);
}

#[test]
fn responses_stream_and_request_bodies_too() {
    let mut cell = Cell::new(&[(
        "api/main.js",
        "export default () => {
           let n = 0;
           return new Response(new ReadableStream({ async pull(c) { await new Promise((r) => setTimeout(r, 1)); c.enqueue(new TextEncoder().encode('part' + n++ + ';')); if (n === 3) c.close(); } }));
         };",
    )]);
    assert_eq!(cell.get("/api").text(), "part0;part1;part2;");
}

#[test]
fn wait_until_goes_on_after_the_answer() {
    let mut cell = Build::new(&[(
        "api/main.js",
        "export default (request, env, ctx) => {
           ctx.waitUntil(new Promise((r) => setTimeout(r, 5)).then(() => fazt.note('after')));
           return new Response('now');
         };",
    )])
    .bindings(&["note"], |_, _| Ok(String::new()))
    .start();
    assert_eq!(cell.get("/api").text(), "now");
    assert_eq!(cell.calls[0].1, r#"["after"]"#);
}

#[test]
fn timers_and_microtasks_run_in_order() {
    let mut cell = Cell::new(&[(
        "api/main.js",
        "export default async () => {
           const order = [];
           setTimeout(() => order.push('timer 2'), 4);
           setTimeout(() => order.push('timer 1'), 1);
           const gone = setTimeout(() => order.push('never'), 2);
           clearTimeout(gone);
           queueMicrotask(() => order.push('microtask'));
           order.push('sync');
           await new Promise((r) => setTimeout(r, 20));
           return Response.json(order);
         };",
    )]);
    assert_eq!(cell.get("/").text(), r#"["sync","microtask","timer 1","timer 2"]"#);
}

#[test]
fn what_can_never_settle_fails_at_once() {
    let mut cell = Cell::new(&[("api/main.js", "export default () => new Promise(() => {});")]);
    assert_eq!(cell.get("/").failed().code, "NEVER_SETTLED");
}

#[test]
fn typescript_runs_and_its_errors_point_into_it() {
    let source = "interface A { x: number }\nexport default (request: Request): Response => {\n  const a: A | undefined = undefined as unknown as A; return new Response(String(a!.x));\n};\n";
    let mut cell = Cell::new(&[("api/main.ts", source)]);
    assert_eq!(cell.styles, [Style::Module]);
    let failure = cell.get("/").failed().clone();
    let column = u32::try_from(source.lines().nth(2).unwrap().find("a!.x").unwrap()).unwrap() + 1;
    assert_eq!((failure.file.as_str(), failure.line, failure.column), ("api/main.ts", 3, column));
}

#[test]
fn the_standard_library_is_there() {
    let mut cell = Cell::new(&[(
        "api/main.js",
        "import _, { chunk } from 'fazt:lodash'; import { z } from 'fazt:zod'; import { marked } from 'fazt:marked'; import dayjs from 'fazt:dayjs';
         import validator from 'fazt:validator'; import { v4, validate } from 'fazt:uuid'; import * as cheerio from 'fazt:cheerio';
         export default () => Response.json([
           _.sum([1, 2]), chunk([1, 2, 3], 2), z.object({ a: z.number() }).safeParse({ a: 'x' }).success, marked.parse('# hi').trim(),
           dayjs('2026-01-02').add(1, 'day').format('YYYY-MM-DD'), validator.isEmail('a@b.co'), validate(v4()), cheerio.load('<p class=x>yes</p>')('.x').text(),
         ]);",
    )]);
    assert_eq!(
        cell.get("/").text(),
        r#"[3,[[1,2],[3]],false,"<h1>hi</h1>","2026-01-03",true,true,"yes"]"#
    );
}

#[test]
fn requests_of_different_users_never_share_a_realm_at_the_same_time() {
    let mut cell = Build::new(&[(
        "api/main.js",
        "let inside = 0; export default async () => { const seen = ++inside; await fazt.wait(); inside--; return new Response(String(seen)); };",
    )])
    .bindings(&["wait"], |_, _| Ok(String::new()))
    .start();
    let ids: Vec<u64> =
        (0..6).map(|n| cell.ask_as("GET", "/", "", b"", ["\"a\"", "\"b\""][n % 2])).collect();
    let answers = cell.answers(&ids);
    let seen: Vec<String> = ids.iter().map(|id| answers[id].text()).collect();
    // Two realms with three requests each.
    assert_eq!(seen, ["1", "1", "2", "2", "3", "3"]);
}
