//! URL workspaces: `?s=word-word-word` names a place that everybody who has the address shares.

/// The parameter that names a workspace.
pub const PARAMETER: &str = "s";

/// The shortest and the longest word of an id, in characters.
const WORD_CHARS: std::ops::RangeInclusive<usize> = 2..=16;

/// Whether `text` is an id: three words of lower-case letters with `-` between them.
///
/// Any words will do: people may choose their own.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let is_word = |word: &str| {
        WORD_CHARS.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase())
    };
    text.split('-').count() == 3 && text.split('-').all(is_word)
}

/// What the parameter says in `query`, which stands without its `?`. Takes one walk over it.
#[must_use]
pub fn value_in(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name == PARAMETER).then_some(value)
    })
}

/// The workspace that `query` names; nothing when the parameter is missing or the app's own.
#[must_use]
pub fn of_query(query: &str) -> Option<&str> {
    value_in(query).filter(|value| is_id(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_from_a_query() {
        for (query, expected) in [
            ("", None),
            ("s", None),
            ("s=new", None),
            ("s=cat-dog-owl", Some("cat-dog-owl")),
            ("a=b&s=cat-dog-owl&c", Some("cat-dog-owl")),
            ("s=cat-dog", None),
            ("s=x&s=cat-dog-owl", None),
            ("ss=cat-dog-owl", None),
        ] {
            assert_eq!(of_query(query), expected, "{query}");
        }
    }
}
