//! Bodies that stream, in both directions, with the room that the other side grants; requests that
//! are cancelled.

use crate::cell::Cell;
use fazt_js_engine::protocol::{FromCell, Headers, Request, STREAM_WINDOW_BYTES, ToCell};

fn begin(cell: &Cell, id: u64, body: &[u8]) {
    cell.send(&ToCell::Request(Request {
        id,
        method: "POST",
        url: "https://blog.example.org/api",
        headers: Headers("content-type\ntext/plain\n"),
        body,
        more: true,
        ..Request::default()
    }));
}

#[test]
fn a_request_body_arrives_in_pieces() {
    for (source, expected) in [
        ("export default async (request) => new Response(await request.text());", "one two three"),
        (
            "export default async (request) => { let n = 0; for await (const bytes of request.body) n += bytes.length; return new Response(String(n)); };",
            "13",
        ),
        ("export default (request) => new Response(request.body);", "one two three"),
        ("respond(request.body)", "one two three"),
        ("module.exports = async () => respond(request.body)", "one two three"),
    ] {
        let mut cell = Cell::new(&[("api/main.js", source)]);
        begin(&cell, 1_000, b"one ");
        cell.send(&ToCell::RequestChunk { id: 1_000, bytes: b"two ", last: false });
        cell.send(&ToCell::RequestChunk { id: 1_000, bytes: b"three", last: true });
        assert_eq!(cell.answer(1_000).text(), expected, "{source}");
    }
}

#[test]
fn a_body_that_nobody_reads_holds_nothing_up() {
    let mut cell = Cell::new(&[("api/main.js", "export default () => new Response('unread');")]);
    begin(&cell, 1_000, b"one ");
    assert_eq!(cell.answer(1_000).text(), "unread");
    cell.send(&ToCell::RequestChunk { id: 1_000, bytes: b"late", last: true });
    assert_eq!(cell.get("/").text(), "unread");
}

#[test]
fn a_response_stops_when_there_is_no_room_and_goes_on_when_there_is() {
    let mut cell = Cell::new(&[(
        "api/main.js",
        "let pulled = 0;
         export default (request) => {
           if (request.url.endsWith('pulled')) return new Response(String(pulled));
           return new Response(new ReadableStream({ pull(c) { pulled++; c.enqueue(new Uint8Array(65536)); if (pulled === 64) c.close(); } }));
         };",
    )]);
    let id = cell.ask("GET", "/big", "", b"");
    let mut received = 0;
    while received < STREAM_WINDOW_BYTES {
        let frame = cell.frame();
        if let FromCell::Chunk { bytes, .. } = FromCell::decode(&frame).unwrap() {
            received += u32::try_from(bytes.len()).unwrap();
        }
    }
    let pulled: u32 = cell.get("/pulled").text().parse().unwrap();
    assert!(pulled < 10, "{pulled} pieces were made for {STREAM_WINDOW_BYTES} bytes of room");
    cell.send(&ToCell::Credit { id, bytes: received });
    let rest = cell.answer(id);
    assert_eq!(rest.body.len() + usize::try_from(received).unwrap(), 64 * 65_536);
}

#[test]
fn an_abandoned_request_hears_of_it() {
    let mut cell = Cell::new(&[(
        "api/main.js",
        "let heard = 'nothing';
         export default async (request) => {
           if (request.url.endsWith('heard')) return new Response(heard);
           request.signal.addEventListener('abort', () => { heard = request.signal.reason.name; });
           await new Promise((r) => setTimeout(r, 60000));
         };",
    )]);
    let id = cell.ask("GET", "/slow", "", b"");
    // Its turn has begun once this one is answered.
    assert_eq!(cell.get("/heard").text(), "nothing");
    cell.send(&ToCell::Cancel { id });
    assert_eq!(cell.answer(id).status, 0);
    assert_eq!(cell.get("/heard").text(), "AbortError");
}

#[test]
fn a_stream_that_fails_breaks_its_answer_off() {
    let mut cell = Cell::new(&[(
        "api/main.js",
        "export default () => new Response(new ReadableStream({ start(c) { c.enqueue(new Uint8Array(3)); }, pull(c) { throw new Error('broken'); } }));",
    )]);
    let answer = cell.get("/");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.failed().message, "Error: broken");
    assert_eq!(cell.get("/").status, 200);
}

#[test]
fn frames_that_make_no_sense_are_left_aside() {
    let mut cell = Cell::new(&[("api/main.js", "export default () => new Response('fine');")]);
    for frame in [
        ToCell::Cancel { id: 77 },
        ToCell::Credit { id: 77, bytes: 5 },
        ToCell::RequestChunk { id: 77, bytes: b"x", last: true },
        ToCell::Result { call: 77, result: Ok("{}") },
        ToCell::Result { call: 77, result: Ok("not JSON") },
        ToCell::Request(Request { id: 0, entry: 9, ..Request::default() }),
        ToCell::Compile,
        ToCell::Collect,
    ] {
        cell.send(&frame);
    }
    assert_eq!(cell.get("/").text(), "fine");
}
