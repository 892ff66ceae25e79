//! Frames: what is written is read again, and nothing else is.

use fazt_js_engine::protocol::{
    Binding, CallFailure, Entry, File, FromCell, Headers, Init, Level, Limits, Problem, Request,
    Role, Style, ToCell,
};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
        let _to = ToCell::decode(&bytes);
        let _from = FromCell::decode(&bytes);
    }

    #[test]
    fn any_bytes_behind_a_kind_are_read_or_refused(kind in 0_u8..14, bytes in vec(0_u8..6, 0..200)) {
        let frame = [&[kind], bytes.as_slice()].concat();
        let _to = ToCell::decode(&frame);
        let _from = FromCell::decode(&frame);
    }

    #[test]
    fn requests_are_read_as_they_were_written(
        id in 1_u64.., entry: u16, method in "[A-Z]{1,8}", url: String, headers: String,
        body in vec(any::<u8>(), 0..100), more: bool, user: String, cut in 0_usize..200,
    ) {
        let request = ToCell::Request(Request {
            id, entry, method: &method, url: &url, headers: Headers(&headers), body: &body, more,
            ip: "::1", user: &user, workspace: "w",
        });
        let frame = request.to_bytes();
        prop_assert_eq!(ToCell::decode(&frame).unwrap(), request);
        // Neither the beginning of a frame nor one with something behind it is a frame.
        prop_assert!(ToCell::decode(&frame[..cut.min(frame.len() - 1)]).is_err());
        prop_assert!(ToCell::decode(&[&frame, [0].as_slice()].concat()).is_err());
    }

    #[test]
    fn an_app_is_read_as_it_was_written(
        id: String, source: String, bytecode in proptest::option::of(vec(any::<u8>(), 0..50)),
        memory_bytes: u64, stripped: bool, promise: bool,
    ) {
        let init = ToCell::Init(Box::new(Init {
            app_id: &id, app_name: "n", app_url: "u", version: "v",
            limits: Limits { memory_bytes, ..Limits::default() },
            dev: promise, env: "{}",
            bindings: vec![Binding { name: "a.b", arguments: vec!["x", "y"], promise }],
            scripts: vec![("name", &source)],
            files: vec![File { path: "api/main.js", source: &source, stripped }],
            entries: vec![Entry { path: "api/main.js", role: Role::Root }],
            prelude: bytecode.as_deref(),
        }));
        let bytes = init.to_bytes();
        prop_assert_eq!(ToCell::decode(&bytes).unwrap(), init);
    }

    #[test]
    fn answers_are_read_as_they_were_written(
        id: u64, status: u16, text: String, bytes in vec(any::<u8>(), 0..100), flag: bool, us: u64,
    ) {
        let problem = Problem { message: &text, stack: "s", file: "f", line: 3, column: 4 };
        for frame in [
            FromCell::Prelude { bytecode: &bytes },
            FromCell::Ready { styles: vec![Style::Module, Style::Classic, Style::Root, Style::Broken] },
            FromCell::LoadError { entry: status, problem },
            FromCell::Response {
                id, status, headers: Headers(&text), body: &bytes, more: flag,
                done_cpu_us: flag.then_some(us),
            },
            FromCell::Chunk { id, bytes: &bytes, last: flag },
            FromCell::Failed { id, code: "C", problem, replace: flag },
            FromCell::Outcome { id, result: &text },
            FromCell::Call { call: us, request: id, binding: status, arguments: &text, waits: flag },
            FromCell::Log { request: id, level: Level::Warn, text: &text },
            FromCell::Done { id, cpu_us: us },
            FromCell::Credit { id, bytes: 5 },
            FromCell::Checked { id, result: Ok((Style::Module, &text)) },
            FromCell::Checked { id, result: Err(problem) },
        ] {
            let bytes = frame.to_bytes();
            prop_assert_eq!(FromCell::decode(&bytes).unwrap(), frame);
        }
        for frame in [
            ToCell::RequestChunk { id, bytes: &bytes, last: flag },
            ToCell::Result { call: id, result: Ok(&text) },
            ToCell::Result {
                call: id,
                result: Err(CallFailure { code: "C", message: &text, kind: "k" }),
            },
            ToCell::Cancel { id },
            ToCell::Credit { id, bytes: 7 },
            ToCell::Job { id, path: "p", job: &text },
            ToCell::Event { id, path: "p", name: "scheduled", event: &text },
            ToCell::Check { id, path: "p", source: &text, role: Role::Library },
            ToCell::Collect,
            ToCell::Compile,
        ] {
            let bytes = frame.to_bytes();
            prop_assert_eq!(ToCell::decode(&bytes).unwrap(), frame);
        }
    }

    #[test]
    fn headers_are_read_as_they_were_written(pairs in vec(("[a-z-]{1,9}", "[^\n]{0,20}"), 0..9)) {
        let mut text = String::new();
        for (name, value) in &pairs {
            prop_assert!(Headers::push(&mut text, name, value));
        }
        prop_assert!(!Headers::push(&mut text, "a\nb", ""));
        prop_assert!(!Headers::push(&mut text, "a", "x\ny"));
        let read: Vec<_> = Headers(&text)
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        prop_assert_eq!(read, pairs);
    }
}

#[test]
fn a_count_does_not_allocate_what_is_not_there() {
    // Ready with 2^32 - 1 styles.
    assert!(FromCell::decode(&[2, 0xFF, 0xFF, 0xFF, 0xFF]).is_err());
    // A text of 2^32 - 1 bytes.
    assert!(ToCell::decode(&[5, 0xFF, 0xFF, 0xFF, 0xFF]).is_err());
}
