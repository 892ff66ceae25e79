//! Parts of a representation: one range, or several as `multipart/byteranges` (RFC 9110 §14).

use fazt_sdk::Result;
use fazt_sdk::cartridge::Cartridge;
use fazt_sdk::http::{BodySource, Response};
use fazt_sdk::prelude::Bytes;

use crate::conditional::{ByteRange, ContentRange, Ranges};
use crate::head::Context;
use crate::model::hex;
use crate::ready::Ready;
use crate::representation::Representation;
use crate::store;

/// The most content that a response of several parts reads at a time, in bytes.
const READ_BYTES_MAX: u64 = 256 * 1024;

/// 206 with one range.
pub(crate) fn one(
    sent: &Representation<'_>,
    context: &Context<'_>,
    ready: &Ready,
    range: ByteRange,
) -> Response {
    let content_range = ContentRange { range: Some(range), length: sent.size }.to_string();
    let response = head(sent, context, ready, None).header("content-range", content_range);
    match slice(ready, range) {
        Some(bytes) => response.body(bytes),
        None => response.blob(sent.hash, range.first(), range.length()),
    }
}

/// 206 with several ranges (§14.6). What is sent at a time is bounded, whatever they add up to.
pub(crate) fn several(
    cartridge: &Cartridge,
    sent: &Representation<'_>,
    context: &Context<'_>,
    ready: &Ready,
    ranges: &Ranges,
) -> Response {
    // Content that holds a part of its own hash cannot be found, so the boundary is not in it.
    let boundary = format!("fazt-{}", &hex(&sent.hash)[..32]);
    let (kind, length) = (sent.file.entry.content_type, sent.size);
    let mut parts = Vec::with_capacity(2 * ranges.as_slice().len() + 1);
    for range in ranges.as_slice() {
        let content_range = ContentRange { range: Some(*range), length };
        let head = format!(
            "\r\n--{boundary}\r\ncontent-type: {kind}\r\ncontent-range: {content_range}\r\n\r\n"
        );
        parts.push(Part::Text(head.into()));
        parts.push(match slice(ready, *range) {
            Some(bytes) => Part::Text(bytes),
            None => Part::Blob { start: range.first(), left: range.length() },
        });
    }
    parts.push(Part::Text(format!("\r\n--{boundary}--\r\n").into()));
    let bytes: u64 = parts.iter().map(Part::len).sum();
    let source = Parts {
        cartridge: cartridge.clone(),
        hash: sent.hash,
        parts: parts.into_iter(),
        current: None,
    };
    let content_type = format!("multipart/byteranges; boundary={boundary}");
    head(sent, context, ready, Some(&content_type))
        .header("content-length", bytes.to_string())
        .stream(source)
}

/// 416: no range lies in the representation (§15.5.17).
pub(crate) fn none(sent: &Representation<'_>) -> Response {
    let content_range = ContentRange { range: None, length: sent.size }.to_string();
    Response::new(416)
        .header("content-range", content_range)
        .header("accept-ranges", "bytes")
        .header("cache-control", "no-store")
}

/// What every 206 says (§15.3.7): all that the whole would, of another type if need be.
fn head(
    sent: &Representation<'_>,
    context: &Context<'_>,
    ready: &Ready,
    content_type: Option<&str>,
) -> Response {
    let fields = context.fields(sent, &ready.etag);
    fields.iter().fold(Response::new(206), |response, (name, value)| match content_type {
        Some(content_type) if name == "content-type" => response.header(name, content_type),
        _ => response.header(name, &**value),
    })
}

/// The range out of memory.
fn slice(ready: &Ready, range: ByteRange) -> Option<Bytes> {
    let body = ready.body.as_ref()?;
    let (first, last) = (usize::try_from(range.first()).ok()?, usize::try_from(range.last()).ok()?);
    (last < body.len()).then(|| body.slice(first..=last))
}

enum Part {
    Text(Bytes),
    Blob { start: u64, left: u64 },
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Blob { left, .. } => *left,
        }
    }
}

/// The body of several parts.
struct Parts {
    cartridge: Cartridge,
    hash: [u8; 32],
    parts: std::vec::IntoIter<Part>,
    current: Option<Part>,
}

impl BodySource for Parts {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        match self.current.take().or_else(|| self.parts.next())? {
            Part::Text(text) => Some(Ok(text)),
            Part::Blob { start, left } => {
                let (hash, len) = (self.hash, left.min(READ_BYTES_MAX));
                let read = store::read(&self.cartridge, move |reader| {
                    reader.blob(&hash, start, len, Bytes::copy_from_slice)
                });
                if left > len {
                    self.current = Some(Part::Blob { start: start + len, left: left - len });
                }
                Some(read.await)
            }
        }
    }
}
