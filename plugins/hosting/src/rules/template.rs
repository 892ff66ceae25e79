//! What an address or a header is written from: text, and what the names of a pattern stand for.
//!
//! What came from a request is percent-encoded wherever it is put, so that it cannot end a header,
//! leave the segment or the query that it was put into, or name another host.

use super::pattern::{Found, Names, SPLAT, placeholders};
use crate::resolve::percent_encode;

/// Where a piece of text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In a path (RFC 3986 §3.3).
    Path,
    /// In a query or a fragment (§3.4, §3.5).
    Query,
    /// In the value of a header.
    Value,
    /// Nowhere special: it is written as it is.
    Plain,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Name(usize, Place),
    Splat(usize, Place),
}

/// Text with places for what a pattern found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Template(Box<[Part]>);

impl Template {
    /// Reads `text`. A `:name` that the pattern does not give is text.
    ///
    /// Text in a path or a query is made safe to be sent; escapes in it stay.
    pub(super) fn parse(text: &str, names: &Names, place: Place) -> Self {
        let mut parts = Vec::new();
        let mut done = 0;
        for (at, name) in placeholders(text) {
            if let Some(number) = names.find(name) {
                push_text(&mut parts, &text[done..at], place);
                parts.push(match name {
                    SPLAT => Part::Splat(number, place),
                    _ => Part::Name(number, place),
                });
                done = at + 1 + name.len();
            }
        }
        push_text(&mut parts, &text[done..], place);
        Self(parts.into())
    }

    /// Whether it is always the same.
    pub(super) fn is_constant(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// The bytes of its text.
    pub(super) fn text_bytes(&self) -> usize {
        let text = |part: &Part| match part {
            Part::Text(text) => text.len(),
            Part::Name(..) | Part::Splat(..) => 0,
        };
        self.0.iter().map(text).sum()
    }

    /// Appends it to `to`.
    pub(super) fn write(&self, to: &mut String, found: &Found<'_>) {
        for part in &self.0 {
            match part {
                Part::Text(text) => to.push_str(text),
                Part::Name(number, Place::Path) => percent_encode(to, found.get(*number), b""),
                Part::Splat(number, Place::Path) => percent_encode(to, found.get(*number), b"/"),
                Part::Name(number, Place::Query) | Part::Splat(number, Place::Query) => {
                    encode_in_query(to, found.get(*number));
                }
                Part::Name(number, Place::Value) | Part::Splat(number, Place::Value) => {
                    percent_encode(to, found.get(*number), b"/");
                }
                Part::Name(number, Place::Plain) | Part::Splat(number, Place::Plain) => {
                    to.push_str(found.get(*number));
                }
            }
        }
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str, place: Place) {
    if text.is_empty() {
        return;
    }
    let mut safe = String::with_capacity(text.len());
    match place {
        Place::Path => percent_encode(&mut safe, text, b"/%"),
        Place::Query => percent_encode(&mut safe, text, b"/?%"),
        Place::Value | Place::Plain => safe.push_str(text),
    }
    parts.push(Part::Text(safe.into()));
}

/// As a value of a query: also without what separates it from others, or means a space.
fn encode_in_query(to: &mut String, text: &str) {
    for piece in text.split_inclusive(['&', '=', '+', ';']) {
        let (plain, separator) = match piece.char_indices().next_back() {
            Some((at, c @ ('&' | '=' | '+' | ';'))) => (&piece[..at], Some(c)),
            _ => (piece, None),
        };
        percent_encode(to, plain, b"/");
        to.push_str(match separator {
            Some('&') => "%26",
            Some('=') => "%3D",
            Some('+') => "%2B",
            Some(_) => "%3B",
            None => "",
        });
    }
}
