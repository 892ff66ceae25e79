//! Reading, and cutting down, the flat head of a request.

use fazt_abi::http::{RawRequestHead, Span};

/// A span of the head as text; empty when it is not UTF-8.
pub(crate) fn text(head: &RawRequestHead, span: Span) -> &str {
    std::str::from_utf8(bytes(head, span)).unwrap_or_default()
}

/// A span of the head.
pub(crate) fn bytes(head: &RawRequestHead, span: Span) -> &[u8] {
    let (start, end) = (span.start as usize, span.start as usize + span.len as usize);
    head.text.get(start..end).unwrap_or_default()
}

/// All values of a header, which is named in lower case.
pub(crate) fn values<'h>(
    head: &'h RawRequestHead,
    name: &'h str,
) -> impl Iterator<Item = &'h [u8]> {
    head.fields
        .iter()
        .filter(move |field| bytes(head, field.name) == name.as_bytes())
        .map(|field| bytes(head, field.value))
}

/// The only value of a header; nothing when there is none, or more than one.
pub(crate) fn only_value<'h>(head: &'h RawRequestHead, name: &'h str) -> Option<&'h str> {
    let mut found = values(head, name);
    let value = found.next()?;
    if found.next().is_some() {
        return None;
    }
    std::str::from_utf8(value).ok()
}

/// Adds text to the head, for a span that is to be replaced.
pub(crate) fn append(head: &mut RawRequestHead, text: &[u8]) -> Span {
    let at = |len| u32::try_from(len).unwrap_or(u32::MAX);
    let span = Span { start: at(head.text.len()), len: at(text.len()) };
    head.text.extend_from_slice(text);
    span
}

/// Removes headers, so that what belongs to the node never reaches a plugin.
pub(crate) fn remove(head: &mut RawRequestHead, is_removed: impl Fn(&[u8], &[u8]) -> bool) {
    let text = &head.text;
    let slice = |span: Span| {
        text.get(span.start as usize..span.start as usize + span.len as usize).unwrap_or_default()
    };
    head.fields.retain(|field| !is_removed(slice(field.name), slice(field.value)));
}
