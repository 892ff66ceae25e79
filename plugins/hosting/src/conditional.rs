//! Conditional and range requests (RFC 9110 §13, §14). Nothing here allocates.
//!
//! The validator is a strong entity tag; files have no modification date, so a date never matches.
//! A header that cannot be understood is ignored, as the specification asks: the answer is then
//! the whole file, which is never wrong.

use std::fmt;
use std::num::IntErrorKind;

/// The conditions of one request, as they stand in its headers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conditions<'a> {
    /// `If-None-Match`, all of its lines joined with commas.
    pub if_none_match: Option<&'a [u8]>,
    /// `If-Range`.
    pub if_range: Option<&'a [u8]>,
    /// `Range`. Leave it out for `HEAD`: it only means something for `GET` (§14.2).
    pub range: Option<&'a [u8]>,
}

/// What to send.
#[expect(clippy::large_enum_variant, reason = "it is read where it is made; a box would allocate")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 200 with everything.
    Full,
    /// 304 with nothing.
    NotModified,
    /// 206 with these bytes.
    Partial(ByteRange),
    /// 206 with these parts, as `multipart/byteranges` (§14.6).
    Several(Ranges),
    /// 416 with nothing.
    Unsatisfiable,
}

impl Conditions<'_> {
    /// Decides what to send of a file with the strong tag `etag`, quotes included, and `length`
    /// bytes. The order of the checks is that of §13.2.2.
    pub fn answer(&self, etag: &str, length: u64) -> Answer {
        if self.if_none_match.is_some_and(|list| none_match_fails(list, etag)) {
            return Answer::NotModified;
        }
        match self.range {
            Some(range) if self.if_range.is_none_or(|tag| if_range_holds(tag, etag)) => {
                select_range(range, length)
            }
            _ => Answer::Full,
        }
    }
}

/// Bytes of a file, both ends included. Never empty and never past the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    first: u64,
    last: u64,
}

impl ByteRange {
    /// The first byte, counted from 0.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The last byte, which is included.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// How many bytes: the `content-length` of the 206.
    pub fn length(&self) -> u64 {
        self.last - self.first + 1
    }
}

/// The most ranges that one response carries.
pub const RANGES_MAX: usize = 16;

/// Ranges of one file, ascending and apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranges {
    ranges: [ByteRange; RANGES_MAX],
    count: usize,
}

impl Default for Ranges {
    fn default() -> Self {
        Self { ranges: [ByteRange { first: 0, last: 0 }; RANGES_MAX], count: 0 }
    }
}

impl Ranges {
    /// The ranges.
    pub fn as_slice(&self) -> &[ByteRange] {
        &self.ranges[..self.count]
    }

    /// Takes one more; not one that is too many, or does not lie behind those before it.
    fn push(&mut self, range: ByteRange) -> bool {
        let is_behind = self.as_slice().last().is_none_or(|before| before.last < range.first);
        match self.ranges.get_mut(self.count) {
            Some(place) if is_behind => {
                *place = range;
                self.count += 1;
                true
            }
            _ => false,
        }
    }
}

/// Writes the value of `content-range` (§14.4): of a 206 with its range, of a 416 without.
#[derive(Debug, Clone, Copy)]
pub struct ContentRange {
    /// The bytes that are sent.
    pub range: Option<ByteRange>,
    /// Bytes of the whole file.
    pub length: u64,
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.range {
            Some(range) => write!(f, "bytes {}-{}/{}", range.first, range.last, self.length),
            None => write!(f, "bytes */{}", self.length),
        }
    }
}

/// The most bytes of `If-None-Match` that are looked at. A match further on is not seen, and the
/// file is sent.
pub const TAG_LIST_BYTES_MAX: usize = 64 * 1024;

/// Whether `If-None-Match` names what the client would get, so that it need not be sent (§13.1.2).
///
/// The comparison is weak (§8.8.3.2). Elements that are not entity tags are passed over.
fn none_match_fails(list: &[u8], etag: &str) -> bool {
    let mut rest = trim(&list[..list.len().min(TAG_LIST_BYTES_MAX)]);
    if rest == b"*" {
        return true;
    }
    let wanted = etag.strip_prefix("W/").unwrap_or(etag).as_bytes();
    loop {
        rest = trim_start(rest);
        while let [b',', after @ ..] = rest {
            rest = trim_start(after);
        }
        if rest.is_empty() {
            return false;
        }
        match split_tag(rest) {
            Some((tag, after)) => {
                let after = trim_start(after);
                if tag == wanted && (after.is_empty() || after[0] == b',') {
                    return true;
                }
                rest = skip_element(after);
            }
            None => rest = skip_element(rest),
        }
    }
}

/// An entity tag (§8.8.3) at the front, without `W/`, and what follows it.
fn split_tag(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let opaque = text.strip_prefix(b"W/").unwrap_or(text);
    let inner = opaque.strip_prefix(b"\"")?;
    let is_etagc = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..);
    let length = inner.iter().take_while(|byte| is_etagc(byte)).count();
    (inner.get(length) == Some(&b'"')).then(|| opaque.split_at(length + 2))
}

fn skip_element(text: &[u8]) -> &[u8] {
    match text.iter().position(|byte| *byte == b',') {
        Some(comma) => &text[comma..],
        None => &[],
    }
}

/// Whether the range still fits what the client has (§13.1.5): the very same strong tag. A weak
/// tag or a date never fits.
fn if_range_holds(value: &[u8], etag: &str) -> bool {
    trim(value) == etag.as_bytes() && etag.starts_with('"')
}

/// What `Range` selects of `length` bytes (§14.1.2, §14.2).
///
/// Several ranges are honored while they ascend, do not overlap and are at most [`RANGES_MAX`]. Any
/// other set is answered with the whole file, which §14.2 allows and §17.15 advises: a client that
/// asks so costs more than it gains.
fn select_range(value: &[u8], length: u64) -> Answer {
    let Some(set) = byte_set(value) else {
        return Answer::Full;
    };
    let mut ranges = Ranges::default();
    let mut is_empty = true;
    for element in set.split(|byte| *byte == b',').map(trim).filter(|one| !one.is_empty()) {
        is_empty = false;
        match Selected::of(element, length) {
            Selected::Range(range) => {
                if !ranges.push(range) {
                    return Answer::Full;
                }
            }
            Selected::Nothing => {}
            Selected::Malformed => return Answer::Full,
        }
    }
    match ranges.as_slice() {
        [] if is_empty => Answer::Full,
        [] => Answer::Unsatisfiable,
        [only] => Answer::Partial(*only),
        _ => Answer::Several(ranges),
    }
}

/// What one element of a range set selects.
enum Selected {
    Range(ByteRange),
    /// The element is well formed and lies behind the end.
    Nothing,
    Malformed,
}

impl Selected {
    fn of(element: &[u8], length: u64) -> Self {
        let Some(dash) = element.iter().position(|byte| *byte == b'-') else {
            return Self::Malformed;
        };
        let (first, last) = (&element[..dash], &element[dash + 1..]);
        let range = match (first.is_empty(), last.is_empty()) {
            (true, true) => return Self::Malformed,
            (true, false) => match number(last) {
                Some(suffix) if suffix > 0 && length > 0 => {
                    Some((length.saturating_sub(suffix), length - 1))
                }
                Some(_) => None,
                None => return Self::Malformed,
            },
            (false, true) => match number(first) {
                Some(first) if first < length => Some((first, length - 1)),
                Some(_) => None,
                None => return Self::Malformed,
            },
            (false, false) => match (number(first), number(last)) {
                (Some(first), Some(last)) if first > last => return Self::Malformed,
                (Some(first), Some(last)) if first < length => Some((first, last.min(length - 1))),
                (Some(_), Some(_)) => None,
                _ => return Self::Malformed,
            },
        };
        range.map_or(Self::Nothing, |(first, last)| Self::Range(ByteRange { first, last }))
    }
}

/// What follows `bytes=`; range units are case-insensitive (§14.1).
fn byte_set(value: &[u8]) -> Option<&[u8]> {
    let (unit, set) = trim(value).split_at_checked(6)?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(set)
}

/// Digits only. A number too large to hold is as good as the largest one.
fn number(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    match str::from_utf8(digits).ok()?.parse() {
        Ok(number) => Some(number),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => Some(u64::MAX),
        Err(_) => None,
    }
}

/// Optional whitespace (§5.6.3).
fn trim(mut text: &[u8]) -> &[u8] {
    text = trim_start(text);
    while let [before @ .., b' ' | b'\t'] = text {
        text = before;
    }
    text
}

fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', after @ ..] = text {
        text = after;
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ETAG: &str = "\"abc\"";

    fn none_match(list: &[u8]) -> Answer {
        Conditions { if_none_match: Some(list), ..Conditions::default() }.answer(ETAG, 10)
    }

    fn range(value: &str, length: u64) -> Answer {
        Conditions { range: Some(value.as_bytes()), ..Conditions::default() }.answer(ETAG, length)
    }

    fn partial(first: u64, last: u64) -> Answer {
        Answer::Partial(ByteRange { first, last })
    }

    #[test]
    fn a_tag_that_matches_means_not_modified() {
        let matching: &[&[u8]] = &[
            b"\"abc\"",
            b"*",
            b" * ",
            b"W/\"abc\"",
            b"\"x\", \"abc\"",
            b"\"x\",W/\"abc\" , \"y\"",
            b",,\"abc\",,",
            b"\t\"abc\"\t",
            b"\"a,b\", \"abc\"",
            b"junk, \"abc\"",
            b"\"\xff\", \"abc\"",
        ];
        for list in matching {
            assert_eq!(none_match(list), Answer::NotModified, "{:?}", list.escape_ascii());
        }
    }

    #[test]
    fn garbage_and_other_tags_mean_the_file_is_sent() {
        let other: &[&[u8]] = &[
            b"",
            b",",
            b"\"",
            b"abc",
            b"\"ab\"",
            b"\"abcd\"",
            b"w/\"abc\"",
            b"\"abc",
            b"abc\"",
            b"*, \"x\"",
            b"\"x\" *",
            b"W/",
            b"W/abc",
            b"\"x\"\"abc\"",
            b"\"abc\"x",
            b"\xff\xfe",
            b"\"\"",
            b"\"a\" \"abc\"",
            b"'abc'",
        ];
        for list in other {
            assert_eq!(none_match(list), Answer::Full, "{:?}", list.escape_ascii());
        }
    }

    #[test]
    fn a_long_list_is_read_to_its_bound_and_no_further() {
        let mut list = b"\"0123456789\",".repeat(4_000);
        list.extend(b"\"abc\"");
        assert!(list.len() < TAG_LIST_BYTES_MAX);
        assert_eq!(none_match(&list), Answer::NotModified);
        let mut list = b",".repeat(TAG_LIST_BYTES_MAX);
        list.extend(b"\"abc\"");
        assert_eq!(none_match(&list), Answer::Full);
        assert_eq!(none_match(&b"\"".repeat(1 << 20)), Answer::Full);
    }

    #[test]
    fn one_range_is_honored() {
        let cases = [
            ("bytes=0-0", partial(0, 0)),
            ("bytes=0-9", partial(0, 9)),
            ("bytes=2-", partial(2, 9)),
            ("bytes=-3", partial(7, 9)),
            ("bytes=-99", partial(0, 9)),
            ("bytes=9-9", partial(9, 9)),
            ("bytes=5-99999999999999999999999", partial(5, 9)),
            ("bytes=-99999999999999999999999", partial(0, 9)),
            ("BYTES=1-2", partial(1, 2)),
            (" bytes=1-2 ", partial(1, 2)),
            ("bytes= 1-2 ,", partial(1, 2)),
            ("bytes=0001-2", partial(1, 2)),
        ];
        for (value, expected) in cases {
            assert_eq!(range(value, 10), expected, "{value}");
        }
    }

    #[test]
    fn a_range_outside_the_file_is_unsatisfiable() {
        for (value, length) in [
            ("bytes=10-", 10),
            ("bytes=10-20", 10),
            ("bytes=-0", 10),
            ("bytes=99999999999999999999-", 10),
            ("bytes=0-", 0),
            ("bytes=-1", 0),
            ("bytes=0-0", 0),
        ] {
            assert_eq!(range(value, length), Answer::Unsatisfiable, "{value}");
        }
    }

    #[test]
    fn what_is_not_a_valid_set_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=1",
            "bytes=2-1",
            "bytes=1-2-3",
            "bytes=--1",
            "bytes=+1-2",
            "bytes=1 - 2",
            "bytes=0-1,3",
            "bytes=0-1,4-3",
            "bytes=0-1;3-4",
            "items=0-1",
            "bytes 0-1",
            "bytes=0x1-2",
            "bytes=1.0-2",
            "bytes=,",
            "byteß=0-1",
        ] {
            assert_eq!(range(value, 10), Answer::Full, "{value}");
        }
    }

    #[test]
    fn several_ranges_are_honored_while_they_ascend_and_are_few() {
        let parts = |value: &str| -> Vec<(u64, u64)> {
            let Answer::Several(ranges) = range(value, 10) else { panic!("{value}") };
            ranges.as_slice().iter().map(|range| (range.first, range.last)).collect()
        };
        assert_eq!(parts("bytes=0-1,3-4"), [(0, 1), (3, 4)]);
        assert_eq!(parts("bytes= 0-0 , -1"), [(0, 0), (9, 9)]);
        assert_eq!(parts("bytes=0-0,2-3,20-30,5-"), [(0, 0), (2, 3), (5, 9)]);
        assert_eq!(range("bytes=1-2,20-30", 10), partial(1, 2), "one of them lies in the file");
        assert_eq!(range("bytes=20-30,40-50", 10), Answer::Unsatisfiable);
        for overlapping in ["bytes=0-4,4-5", "bytes=3-4,0-1", "bytes=0-,-1", "bytes=0-0,0-0"] {
            assert_eq!(range(overlapping, 10), Answer::Full, "{overlapping}");
        }
        let set = |count: usize| {
            let ranges: Vec<_> = (0..count).map(|at| format!("{0}-{0}", 2 * at)).collect();
            format!("bytes={}", ranges.join(","))
        };
        assert!(matches!(range(&set(RANGES_MAX), 1000), Answer::Several(_)));
        assert_eq!(range(&set(RANGES_MAX + 1), 1000), Answer::Full);
    }

    #[test]
    fn if_range_needs_the_same_strong_tag() {
        let ask = |tag: &[u8]| {
            let conditions = Conditions {
                if_range: Some(tag),
                range: Some(b"bytes=1-2"),
                ..Conditions::default()
            };
            conditions.answer(ETAG, 10)
        };
        assert_eq!(ask(b"\"abc\""), partial(1, 2));
        assert_eq!(ask(b" \"abc\" "), partial(1, 2));
        let others: &[&[u8]] =
            &[b"W/\"abc\"", b"\"x\"", b"", b"*", b"Sat, 29 Oct 1994 19:43:31 GMT", b"\xff"];
        for tag in others {
            assert_eq!(ask(tag), Answer::Full);
        }
    }

    #[test]
    fn not_modified_comes_before_the_range() {
        let conditions = Conditions {
            if_none_match: Some(b"\"abc\""),
            if_range: Some(b"\"abc\""),
            range: Some(b"bytes=99-"),
        };
        assert_eq!(conditions.answer(ETAG, 10), Answer::NotModified);
        assert_eq!(conditions.answer("\"new\"", 10), Answer::Full);
    }

    #[test]
    fn content_range_is_written_for_both_answers() {
        let range = Some(ByteRange { first: 1, last: 2 });
        assert_eq!(ContentRange { range, length: 10 }.to_string(), "bytes 1-2/10");
        assert_eq!(ContentRange { range: None, length: 10 }.to_string(), "bytes */10");
    }

    proptest! {
        #[test]
        fn any_headers_are_answered_within_the_file(
            list in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
            if_range in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..10)),
            range in proptest::option::of("(bytes=)?[-0-9, ]{0,60}"),
            length: u64,
        ) {
            let conditions = Conditions {
                if_none_match: list.as_deref(),
                if_range: if_range.as_deref(),
                range: range.as_deref().map(str::as_bytes),
            };
            let ranges = match conditions.answer(ETAG, length) {
                Answer::Partial(range) => vec![range],
                Answer::Several(ranges) => ranges.as_slice().to_vec(),
                Answer::Full | Answer::NotModified | Answer::Unsatisfiable => Vec::new(),
            };
            for range in &ranges {
                prop_assert!(range.first() <= range.last() && range.last() < length);
                prop_assert!(range.length() <= length);
            }
            prop_assert!(ranges.windows(2).all(|pair| pair[0].last() < pair[1].first()));
        }

        #[test]
        fn a_tag_in_a_list_of_tags_is_found(
            before in proptest::collection::vec("(W/)?\"[!#-~]{0,6}\"", 0..5),
            after in proptest::collection::vec("(W/)?\"[!#-~]{0,6}\"", 0..5),
        ) {
            let list = [before, vec![ETAG.to_owned()], after].concat().join(" , ");
            prop_assert_eq!(none_match(list.as_bytes()), Answer::NotModified);
        }
    }
}
