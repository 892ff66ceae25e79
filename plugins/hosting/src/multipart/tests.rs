//! Forms that clients send, and forms that nobody should.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use fazt_sdk::ErrorKind;
use fazt_sdk::prelude::Bytes;
use proptest::prelude::*;

use super::*;

/// Runs a future that never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}

const BOUNDARY: &str = "----WebKitFormBoundaryABC";

type Parts = Vec<(String, bool, Vec<u8>)>;

struct Pieces<'a> {
    left: Vec<&'a [u8]>,
}

impl BodySource for Pieces<'static> {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        (!self.left.is_empty()).then(|| Ok(Bytes::copy_from_slice(self.left.remove(0))))
    }
}

/// Reads a form that arrives in pieces of `piece` bytes.
fn read(form: &[u8], piece: usize, bytes_max: u64) -> Result<Parts> {
    let form: &'static [u8] = Vec::leak(form.to_vec());
    let source = Pieces { left: form.chunks(piece).collect() };
    let mut multipart = Multipart::new(source, BOUNDARY, bytes_max);
    now(async {
        let mut parts = Parts::new();
        while let Some(head) = multipart.next_part().await? {
            let mut content = Vec::new();
            while let Some(chunk) = multipart.next_chunk().await? {
                content.extend_from_slice(chunk);
            }
            parts.push((head.name, head.is_file, content));
        }
        Ok(parts)
    })
}

fn form(text: &str) -> Vec<u8> {
    text.replace("BOUNDARY", BOUNDARY).replace('\n', "\r\n").into_bytes()
}

fn part(name: &str, content: &str) -> String {
    format!("--BOUNDARY\nContent-Disposition: form-data; name=\"{name}\"\n\n{content}\n")
}

fn refusal(form: &[u8]) -> Error {
    let outcomes: Vec<_> = [1, 7, 1 << 20].map(|piece| read(form, piece, 1 << 20)).into();
    assert!(outcomes.windows(2).all(|two| two[0] == two[1]), "{outcomes:?}");
    outcomes.into_iter().next().unwrap().expect_err(&String::from_utf8_lossy(form))
}

#[test]
fn what_clients_send_is_read_however_it_is_cut() {
    let sent = form(
        "--BOUNDARY\nContent-Disposition: form-data; name=\"site_name\"\n\nblog\n\
         --BOUNDARY  \ncontent-disposition:form-data;name=file;filename=\"a\\\"b;c.zip\"\n\
         Content-Type: application/zip\n\nPK\n\n--\n--BOUNDAR\n\
         --BOUNDARY\nContent-Disposition: form-data; name=\"empty\"\n\n\n\
         --BOUNDARY--\n",
    );
    let parts = [
        ("site_name".to_owned(), false, b"blog".to_vec()),
        ("file".to_owned(), true, b"PK\r\n\r\n--\r\n--BOUNDAR".to_vec()),
        ("empty".to_owned(), false, Vec::new()),
    ];
    for piece in 1..sent.len() {
        assert_eq!(read(&sent, piece, 1 << 20).unwrap(), parts, "{piece}");
    }
    let without_last_line_end = &sent[..sent.len() - 2];
    assert_eq!(read(without_last_line_end, 3, 1 << 20).unwrap(), parts);
}

#[test]
fn a_form_without_parts_is_empty() {
    assert_eq!(read(&form("--BOUNDARY--\n"), 5, 100).unwrap(), []);
}

#[test]
fn a_malformed_form_is_refused() {
    let a = part("a", "x");
    for text in [
        String::new(),
        "\n--BOUNDARY--\n".to_owned(),
        format!("preamble\n{a}--BOUNDARY--\n"),
        format!("{a}--BOUNDARY--\nepilogue"),
        format!("{a}--BOUNDARY--\n\n\n"),
        format!("{a}--BOUNDARYx\n"),
        format!("{a}--BOUNDARY-\n"),
        a.clone(),
        format!("{a}--BOUNDARY"),
        format!("{a}--BOUNDARY\n"),
        "--BOUNDARY\n\nx\n--BOUNDARY--\n".to_owned(),
        "--BOUNDARY\nContent-Disposition: form-data\n\nx\n--BOUNDARY--\n".to_owned(),
        "--BOUNDARY\nContent-Disposition: form-data; name=\"\"\n\nx\n--BOUNDARY--\n".to_owned(),
        "--BOUNDARY\nContent-Disposition: form-data; name=\"a\n\nx\n--BOUNDARY--\n".to_owned(),
        "--BOUNDARY\nContent-Disposition: attachment; name=a\n\nx\n--BOUNDARY--\n".to_owned(),
        "--BOUNDARY\nContent-Disposition: form-data; name=a; name=b\n\nx\n--BOUNDARY--\n".to_owned(),
        "--BOUNDARY\nContent-Disposition: form-data; name=a\nContent-Disposition: form-data; name=b\n\nx\n--BOUNDARY--\n".to_owned(),
        "--BOUNDARY\nContent-Disposition: form-data;\n name=a\n\nx\n--BOUNDARY--\n".to_owned(),
        "--BOUNDARY\nContent-Disposition: form-data; name=a\nContent-Transfer-Encoding: base64\n\nx\n--BOUNDARY--\n".to_owned(),
        "--BOUNDARY\nnonsense\n\nx\n--BOUNDARY--\n".to_owned(),
        "--BOUNDARY\nContent-Disposition : form-data; name=a\n\nx\n--BOUNDARY--\n".to_owned(),
        "--BOUNDARY\nContent-Disposition: form-data; name=\"a\0b\"\n\nx\n--BOUNDARY--\n".to_owned(),
    ] {
        let error = refusal(&form(&text));
        assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "FORM_MALFORMED"), "{text}");
    }
}

#[test]
fn bare_line_feeds_are_no_line_ends() {
    let text = part("a", "x") + "--BOUNDARY--\n";
    let error = read(&text.replace("BOUNDARY", BOUNDARY).into_bytes(), 9, 1000).unwrap_err();
    assert_eq!(error.code(), "FORM_MALFORMED");
}

#[test]
fn a_form_over_a_limit_is_refused_without_being_held() {
    let many = part("a", "x").repeat(PARTS_MAX as usize + 1) + "--BOUNDARY--\n";
    assert_eq!(refusal(&form(&many)).kind(), ErrorKind::TooLarge);
    let most = part("a", "x").repeat(PARTS_MAX as usize) + "--BOUNDARY--\n";
    assert_eq!(read(&form(&most), 64, 1 << 20).unwrap().len(), PARTS_MAX as usize);

    let long = format!("--BOUNDARY\nX-A: {}\n", "y".repeat(HEADER_BYTES_MAX));
    assert_eq!(refusal(&form(&long)).kind(), ErrorKind::TooLarge);
    let endless = "--BOUNDARY\n".to_owned() + &"a: b\n".repeat(HEADER_BYTES_MAX / 5);
    assert_eq!(refusal(&form(&endless)).kind(), ErrorKind::TooLarge);

    let large = form(&(part("a", &"x".repeat(2000)) + "--BOUNDARY--\n"));
    assert!(read(&large, 100, large.len() as u64).is_ok());
    let error = read(&large, 100, large.len() as u64 - 1).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::TooLarge, "UPLOAD_TOO_LARGE"));
}

#[test]
fn a_long_field_is_refused() {
    let sent: &'static [u8] = Vec::leak(form(&(part("a", "12345") + "--BOUNDARY--\n")));
    for (bytes_max, expected) in [(5, Ok("12345".to_owned())), (4, Err(ErrorKind::TooLarge))] {
        let mut multipart = Multipart::new(Pieces { left: vec![sent] }, BOUNDARY, 1000);
        let text = now(async {
            multipart.next_part().await?;
            multipart.text("a", bytes_max).await
        });
        assert_eq!(text.map_err(|error| error.kind()), expected);
    }
}

#[test]
fn boundaries_are_found_and_others_refused() {
    let good = [
        ("multipart/form-data; boundary=abc", "abc"),
        ("Multipart/Form-Data;charset=utf-8; BOUNDARY=\"a b\"", "a b"),
        ("multipart/form-data; boundary=----x'()+_,-./:=?", "----x'()+_,-./:=?"),
    ];
    for (content_type, expected) in good {
        assert_eq!(boundary(content_type).unwrap().as_deref(), Some(expected));
    }
    for content_type in ["", "application/zip", "multipart/mixed; boundary=a", "multipart"] {
        assert_eq!(boundary(content_type).unwrap(), None);
    }
    for content_type in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"a",
        "multipart/form-data; boundary=\"a \"",
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=é",
        &format!("multipart/form-data; boundary={}", "x".repeat(71)),
    ] {
        assert!(boundary(content_type).is_err(), "{content_type}");
    }
}

proptest! {
    #[test]
    fn content_survives_whatever_it_holds(
        content in proptest::collection::vec(
            prop_oneof![
                Just(b"\r\n".to_vec()), Just(b"--".to_vec()), Just(b"\r\n--".to_vec()),
                Just(b"\r".to_vec()), Just(BOUNDARY.as_bytes()[..9].to_vec()),
                proptest::collection::vec(any::<u8>(), 0..9),
            ],
            0..20,
        ),
        piece in 1_usize..64,
    ) {
        let content = content.concat();
        prop_assume!(find(&content, BOUNDARY.as_bytes()).is_none());
        let mut sent = form("--BOUNDARY\nContent-Disposition: form-data; name=f; filename=x\n\n");
        sent.extend_from_slice(&content);
        sent.extend(form("\n--BOUNDARY--\n"));
        let parts = read(&sent, piece, 1 << 20).unwrap();
        prop_assert_eq!(parts, [("f".to_owned(), true, content)]);
    }

    #[test]
    fn any_bytes_are_answered(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just(form("--BOUNDARY")), Just(form("\n")), Just(form("--")), Just(form("\n\n")),
                Just(form("Content-Disposition: form-data; name=a")), Just(vec![b'"']),
                proptest::collection::vec(any::<u8>(), 0..6),
            ],
            0..24,
        ),
        piece in 1_usize..40,
    ) {
        let sent = pieces.concat();
        // The verdict may not depend on how the bytes are cut.
        prop_assert_eq!(read(&sent, piece, 1 << 20), read(&sent, 1 << 20, 1 << 20));
    }
}
