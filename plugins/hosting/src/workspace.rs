//! URL workspaces: `?s=word-word-word` names a place that everybody who has the address shares.
//!
//! Three words of a list of 1,024 are 30 bits: nobody comes upon somebody's workspace by accident
//! (one try in 10,000 succeeds when there are 100,000 of them), but somebody who may try without end
//! does. An id is an address and not a password.

mod words;

pub use fazt_sdk::workspace::{PARAMETER, is_id};

use self::words::WORDS;
use crate::resolve::percent_encode;

/// What asks for a new one.
pub const NEW: &str = "new";
/// The bits of a generated id.
pub const BITS: u32 = 3 * WORDS.len().ilog2();
/// The bytes of randomness that [`generate`] takes.
pub const RANDOM_BYTES: u32 = 6;

/// What a query says about a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<'a> {
    /// Nothing, or something that is no id: the parameter may be the app's own.
    Nothing,
    /// `s=new`: generate an id and redirect to [`location`], with 303 and `cache-control: no-store`.
    New,
    /// This one.
    Id(&'a str),
}

/// What `query`, without its `?`, says. Takes one walk over it and allocates nothing.
pub fn asked(query: &str) -> Asked<'_> {
    match fazt_sdk::workspace::value_in(query) {
        Some(NEW) => Asked::New,
        Some(id) if is_id(id) => Asked::Id(id),
        _ => Asked::Nothing,
    }
}

/// An id out of random bytes, every one as likely as any other.
pub fn generate(random: [u8; RANDOM_BYTES as usize]) -> String {
    let word = |at: usize| {
        let number = u16::from_le_bytes([random[at], random[at + 1]]);
        WORDS[usize::from(number) % WORDS.len()]
    };
    format!("{}-{}-{}", word(0), word(2), word(4))
}

/// Where a request for a new workspace goes: the same path, decoded here, and the same query with
/// `id` in the place of `new`. Safe to be sent as it is.
pub fn location(path: &str, query: &str, id: &str) -> String {
    let mut location = String::from("/");
    let is_slash = |c| matches!(c, '/' | '\\');
    percent_encode(&mut location, path.trim_start_matches(is_slash), b"/");
    let mut separator = '?';
    let mut is_replaced = false;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        location.push(separator);
        separator = '&';
        let is_new = pair.split_once('=') == Some((PARAMETER, NEW));
        if is_new && !is_replaced {
            is_replaced = true;
            location.extend([PARAMETER, "=", id]);
        } else {
            percent_encode(&mut location, pair, b"/?%");
        }
    }
    location
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_words_are_short_and_each_is_there_once() {
        assert_eq!(WORDS.iter().collect::<HashSet<_>>().len(), 1024);
        assert!(WORDS.iter().all(|word| (3..=8).contains(&word.len())));
        assert!(WORDS.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())));
        assert_eq!(BITS, 30);
    }

    #[test]
    fn an_id_is_read_from_a_query() {
        for (query, expected) in [
            ("", Asked::Nothing),
            ("s", Asked::Nothing),
            ("s=", Asked::Nothing),
            ("s=new", Asked::New),
            ("a=b&s=new&c=d", Asked::New),
            ("s=cat-dog-owl", Asked::Id("cat-dog-owl")),
            ("a=b&s=cat-dog-owl&c", Asked::Id("cat-dog-owl")),
            ("s=cat-dog", Asked::Nothing),
            ("s=cat-dog-owl-elk", Asked::Nothing),
            ("s=Cat-dog-owl", Asked::Nothing),
            ("s=cat--owl", Asked::Nothing),
            ("s=cat-dog-o%77l", Asked::Nothing),
            ("s=c-dog-owl", Asked::Nothing),
            ("ss=cat-dog-owl", Asked::Nothing),
        ] {
            assert_eq!(asked(query), expected, "{query}");
        }
    }

    #[test]
    fn a_new_workspace_keeps_the_path_and_the_other_parameters() {
        for (path, query, expected) in [
            ("/", "s=new", "/?s=a-b-c"),
            ("/x y/", "a=%20&s=new&b", "/x%20y/?a=%20&s=a-b-c&b"),
            ("/x", "s=new&s=new", "/x?s=a-b-c&s=new"),
            ("//evil.example", "s=new", "/evil.example?s=a-b-c"),
            ("/\\evil.example", "s=new\r\n", "/evil.example?s=new%0D%0A"),
        ] {
            assert_eq!(location(path, query, "a-b-c"), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_generated_is_an_id_and_comes_back(
            random: [u8; RANDOM_BYTES as usize], path in "/\\PC{0,20}", before in "[a-r=&]{0,10}",
        ) {
            let id = generate(random);
            prop_assert!(is_id(&id));
            let location = location(&path, &format!("{before}&s=new&s=x"), &id);
            prop_assert!(location.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(location.starts_with('/') && !location.starts_with("//"));
            let (_, query) = location.split_once('?').unwrap();
            prop_assert_eq!(asked(query), Asked::Id(&id));
        }
    }
}
