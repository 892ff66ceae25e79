//! Which form of a file a client gets (RFC 9110 §12). Nothing here allocates.
//!
//! A weight is counted in thousandths. An element that cannot be understood is passed over.

/// A content coding (RFC 9110 §8.4.1; `br` RFC 7932, `zstd` RFC 8878).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// The file as it is.
    Identity,
    /// `br`
    Brotli,
    /// `zstd`
    Zstd,
    /// `gzip`
    Gzip,
}

impl Encoding {
    /// All of them, in the order that decides between two of the same size.
    pub const ALL: [Self; 4] = [Self::Brotli, Self::Zstd, Self::Gzip, Self::Identity];

    /// The value of `content-encoding`; `identity` is none and is not sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::Brotli => 0,
            Self::Zstd => 1,
            Self::Gzip => 2,
            Self::Identity => 3,
        }
    }

    fn named(name: &[u8]) -> Option<Self> {
        // `x-gzip` is `gzip` (§8.4.1.3).
        if name.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Self::Gzip);
        }
        Self::ALL.into_iter().find(|one| name.eq_ignore_ascii_case(one.as_str().as_bytes()))
    }
}

/// The sizes of the forms of one file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Of the file as it is.
    pub identity: u64,
    /// Of each form that exists.
    pub brotli: Option<u64>,
    /// Of each form that exists.
    pub zstd: Option<u64>,
    /// Of each form that exists.
    pub gzip: Option<u64>,
}

impl Sizes {
    fn of(&self, encoding: Encoding) -> Option<u64> {
        match encoding {
            Encoding::Identity => Some(self.identity),
            Encoding::Brotli => self.brotli,
            Encoding::Zstd => self.zstd,
            Encoding::Gzip => self.gzip,
        }
    }
}

/// What an `Accept-Encoding` accepts, each with its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Accepted {
    /// In the order of [`Encoding::ALL`]; nothing where the header does not name it.
    weights: [Option<u16>; 4],
    /// That of `*`.
    others: Option<u16>,
}

impl Accepted {
    /// What a request without the header gets: the file as it is. The specification allows anything
    /// (§12.5.3), but what sends no header seldom decodes.
    pub const IDENTITY: Self = Self { weights: [None; 4], others: None };

    /// What browsers say that know `br`, `zstd` and `gzip`.
    const ALL: Self = Self { weights: [Some(FULL), Some(FULL), Some(FULL), None], others: None };
    const WITHOUT_ZSTD: Self = Self { weights: [Some(FULL), None, Some(FULL), None], others: None };
    const GZIP: Self = Self { weights: [None, None, Some(FULL), None], others: None };

    /// Reads one line of the header. Takes one comparison for what browsers send.
    pub fn parse(line: &[u8]) -> Self {
        match line {
            b"gzip, deflate, br, zstd" => Self::ALL,
            b"gzip, deflate, br" => Self::WITHOUT_ZSTD,
            b"gzip, deflate" | b"gzip" => Self::GZIP,
            _ => Self::IDENTITY.and(line),
        }
    }

    /// With another line of the header: a list may stand in several (§5.3).
    #[must_use]
    pub fn and(mut self, line: &[u8]) -> Self {
        for element in line.split(|byte| *byte == b',') {
            let Some((name, weight)) = weighted(element) else {
                continue;
            };
            if name == b"*" {
                self.others = Some(weight);
            } else if let Some(encoding) = Encoding::named(name) {
                self.weights[encoding.place()] = Some(weight);
            }
        }
        self
    }

    /// The form to send: of the highest weight, the smallest. The file as it is comes last, unless the
    /// header gives it a weight. Nothing when no form is acceptable (406, §15.5.7).
    pub fn choose(&self, sizes: &Sizes) -> Option<Encoding> {
        let mut best: Option<(Encoding, u16, u64)> = None;
        for encoding in Encoding::ALL {
            let Some(size) = sizes.of(encoding) else {
                continue;
            };
            let weight = self.weight(encoding);
            let is_better = best
                .is_none_or(|(_, best, least)| weight > best || (weight == best && size < least));
            if weight > 0 && is_better {
                best = Some((encoding, weight, size));
            }
        }
        best.map(|(encoding, ..)| encoding)
    }

    fn weight(&self, encoding: Encoding) -> u16 {
        match (self.weights[encoding.place()], encoding, self.others) {
            (Some(weight), ..) => weight,
            // Without a word about it the file as it is will do (§12.5.3), but anything else that
            // the client named was named because it is preferred.
            (None, Encoding::Identity, None) => LEAST,
            (None, Encoding::Identity, Some(0)) => 0,
            (None, Encoding::Identity, Some(_)) => LEAST,
            (None, _, others) => others.unwrap_or(0),
        }
    }
}

const FULL: u16 = 1000;
const LEAST: u16 = 1;

/// Whether `accept` asks for Markdown: it names `text/markdown`, and prefers it to HTML or likes both
/// the same. `*/*` and `text/*` ask for nothing in particular.
///
/// One walk over the header; browsers never name it.
pub fn prefers_markdown(accept: &[u8]) -> bool {
    let mut markdown = 0;
    // The most specific range decides about HTML (§12.5.1).
    let (mut html, mut specificity) = (0, 0);
    for element in accept.split(|byte| *byte == b',') {
        let Some((range, weight)) = weighted(element) else {
            continue;
        };
        if range.eq_ignore_ascii_case(b"text/markdown") {
            markdown = weight.max(markdown);
        }
        let rank = match range {
            range if range.eq_ignore_ascii_case(b"text/html") => 3,
            range if range.eq_ignore_ascii_case(b"text/*") => 2,
            b"*/*" => 1,
            _ => continue,
        };
        if rank > specificity {
            (html, specificity) = (weight, rank);
        }
    }
    markdown > 0 && markdown >= html
}

/// The name of an element of a list and its weight (§12.4.2), which is 1 without one; nothing when the
/// weight is none.
pub(crate) fn weighted(element: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let weight = parts.find_map(|part| match part {
        [b'q' | b'Q', b'=', value @ ..] => Some(thousandths(value)),
        _ => None,
    });
    Some((name, weight.unwrap_or(Some(FULL))?))
}

/// `qvalue` (§12.4.2): a number from 0 to 1 with at most three digits after the point.
fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, digits) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', digits @ ..] => (whole, digits),
        _ => return None,
    };
    if digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    match whole {
        b'1' if digits.iter().all(|digit| *digit == b'0') => Some(FULL),
        b'0' => Some((0..3).fold(0, |sum, at| {
            sum * 10 + digits.get(at).map_or(0, |digit| u16::from(digit - b'0'))
        })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZES: Sizes = Sizes { identity: 100, brotli: Some(30), zstd: Some(35), gzip: Some(40) };

    fn choose(header: &str, sizes: Sizes) -> Option<&'static str> {
        Accepted::parse(header.as_bytes()).choose(&sizes).map(Encoding::as_str)
    }

    #[test]
    fn browsers_get_the_smallest_form_that_exists() {
        let all = "gzip, deflate, br, zstd";
        assert_eq!(choose(all, SIZES), Some("br"));
        assert_eq!(choose(all, Sizes { zstd: Some(29), ..SIZES }), Some("zstd"));
        assert_eq!(choose(all, Sizes { zstd: Some(30), ..SIZES }), Some("br"));
        assert_eq!(choose(all, Sizes { brotli: None, ..SIZES }), Some("zstd"));
        assert_eq!(choose("gzip, deflate, br", Sizes { brotli: None, ..SIZES }), Some("gzip"));
        assert_eq!(choose("gzip, deflate", SIZES), Some("gzip"));
        let none = Sizes { brotli: None, zstd: None, gzip: None, ..SIZES };
        assert_eq!(choose(all, none), Some("identity"));
        assert_eq!(Accepted::IDENTITY.choose(&SIZES), Some(Encoding::Identity));
    }

    #[test]
    fn weights_decide_before_sizes() {
        for (header, expected) in [
            ("", Some("identity")),
            ("br;q=0.5, gzip", Some("gzip")),
            ("br;q=0.5, gzip;q=0.501", Some("gzip")),
            ("br;q=0.001", Some("br")),
            ("gzip;q=0", Some("identity")),
            ("br;q=0, *", Some("zstd")),
            ("*", Some("br")),
            ("*;q=0", None),
            ("*;q=0, gzip;q=0.1", Some("gzip")),
            ("*;q=0, identity", Some("identity")),
            ("identity;q=0", None),
            ("identity;q=0, br", Some("br")),
            ("identity;q=0, *;q=0.2", Some("br")),
            ("identity, gzip;q=0.5", Some("identity")),
            ("identity;q=0.5, gzip;q=0.9", Some("gzip")),
            ("identity, br", Some("br")),
            ("GZIP ; Q=1.000 ,\tx-unknown", Some("gzip")),
            ("x-gzip", Some("gzip")),
            ("deflate", Some("identity")),
            ("gzip;q=2, br;q=nope, zstd;q=0.5555", Some("identity")),
            (",,;,br,", Some("br")),
        ] {
            assert_eq!(choose(header, SIZES), expected, "{header}");
        }
    }

    #[test]
    fn a_list_may_stand_in_several_lines() {
        let accepted = Accepted::parse(b"gzip, deflate").and(b"br");
        assert_eq!(accepted.choose(&SIZES), Some(Encoding::Brotli));
    }

    #[test]
    fn the_quick_way_says_what_the_long_one_does() {
        for line in ["gzip, deflate, br, zstd", "gzip, deflate, br", "gzip, deflate", "gzip"] {
            let line = line.as_bytes();
            assert_eq!(Accepted::parse(line), Accepted::IDENTITY.and(line));
        }
    }

    #[test]
    fn markdown_is_for_those_who_ask_for_it() {
        for accept in [
            "text/markdown",
            "text/markdown, text/html",
            "text/html, text/markdown",
            "text/markdown;q=0.9, text/html;q=0.9, */*;q=0.1",
            "text/markdown, text/html;q=0.9, text/plain;q=0.8, */*",
            "TEXT/Markdown; variant=GFM; q=0.5, */*;q=0.1",
            "*/*, text/html;q=0.1, text/markdown;q=0.2",
            "text/html;q=0.1, */*, text/markdown;q=0.2",
        ] {
            assert!(prefers_markdown(accept.as_bytes()), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/*",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/html, text/markdown;q=0.9",
            "text/markdown;q=0",
            "text/markdown;q=0.1, */*",
            "text/markdown;q=x",
            "text/markdownx",
            "text/x-markdown",
        ] {
            assert!(!prefers_markdown(accept.as_bytes()), "{accept}");
        }
    }

    proptest! {
        #[test]
        fn what_is_chosen_exists_and_was_not_refused(
            header in "((gzip|br|zstd|identity|\\*|x)( ?; ?q=(0|1|0\\.[0-9]{1,3}))?,? ?){0,5}|\\PC{0,30}",
            brotli in proptest::option::of(0..100_u64),
            zstd in proptest::option::of(0..100_u64),
            gzip in proptest::option::of(0..100_u64),
        ) {
            let sizes = Sizes { identity: 100, brotli, zstd, gzip };
            let accepted = Accepted::parse(header.as_bytes());
            let chosen = accepted.choose(&sizes);
            if let Some(chosen) = chosen {
                let size = sizes.of(chosen);
                prop_assert!(size.is_some());
                prop_assert!(accepted.weight(chosen) > 0);
                for other in Encoding::ALL {
                    if let Some(other_size) = sizes.of(other) {
                        let (weight, least) = (accepted.weight(other), accepted.weight(chosen));
                        prop_assert!(weight <= least);
                        prop_assert!(weight < least || Some(other_size) >= size);
                    }
                }
            } else {
                prop_assert_eq!(accepted.weight(Encoding::Identity), 0);
            }
            let _: bool = prefers_markdown(header.as_bytes());
        }
    }
}
