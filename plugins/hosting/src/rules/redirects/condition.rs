//! The conditions of a redirect: what a visitor prefers and carries.

use super::Ask;

/// Conditions of which all must hold; of each list, one member.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    /// In lower case.
    pub(super) languages: Box<[Box<str>]>,
    pub(super) cookies: Box<[Box<str>]>,
}

impl Conditions {
    pub(super) fn is_empty(&self) -> bool {
        self.languages.is_empty() && self.cookies.is_empty()
    }

    pub(super) fn hold(&self, ask: &Ask<'_>) -> bool {
        (self.languages.is_empty() || self.language_holds(ask))
            && (self.cookies.is_empty() || self.cookie_holds(ask))
    }

    fn language_holds(&self, ask: &Ask<'_>) -> bool {
        let chosen = ask.cookie.and_then(|cookies| cookie(cookies, "nf_lang"));
        let Some(language) = chosen.or_else(|| preferred_language(ask.language?)) else {
            return false;
        };
        self.languages.iter().any(|wanted| includes(wanted, language))
    }

    fn cookie_holds(&self, ask: &Ask<'_>) -> bool {
        ask.cookie
            .is_some_and(|cookies| self.cookies.iter().any(|name| cookie(cookies, name).is_some()))
    }
}

/// Whether the language range `wanted` includes `language` (RFC 4647 §3.3.1): `en` includes `en-GB`.
fn includes(wanted: &str, language: &[u8]) -> bool {
    language.split_at_checked(wanted.len()).is_some_and(|(front, rest)| {
        front.eq_ignore_ascii_case(wanted.as_bytes()) && matches!(rest, [] | [b'-', ..])
    })
}

/// The language with the highest weight of an `Accept-Language` (RFC 9110 §12.5.4), the first of
/// those that have the same.
fn preferred_language(header: &[u8]) -> Option<&[u8]> {
    let mut best: Option<(&[u8], u16)> = None;
    for element in header.split(|byte| *byte == b',') {
        let Some((language, weight)) = crate::accept::weighted(element) else {
            continue;
        };
        if language != b"*" && weight > best.map_or(0, |(_, weight)| weight) {
            best = Some((language, weight));
        }
    }
    best.map(|(language, _)| language)
}

/// The value of a cookie (RFC 6265 §4.2.1), the first one of that name.
fn cookie<'a>(header: &'a [u8], name: &str) -> Option<&'a [u8]> {
    header.split(|byte| *byte == b';').find_map(|pair| {
        let value = pair.trim_ascii_start().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(value.trim_ascii_end())
    })
}
