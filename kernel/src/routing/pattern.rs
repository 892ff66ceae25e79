//! Route patterns: literal segments, `{name}`, and `{name...}` for the rest.

use fazt_abi::http::Span;
use fazt_sdk::{Error, Result};

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    One(String),
    Rest(String),
}

impl Pattern {
    /// Parses a pattern such as `/api/apps/{app}` or `/{path...}`.
    ///
    /// # Errors
    /// `Invalid`, naming the pattern.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let wrong =
            |why: &str| Error::invalid(format!("the route pattern `{text}` is wrong: {why}"));
        let rest = text.strip_prefix('/').ok_or_else(|| wrong("it does not start with /"))?;
        let mut segments = Vec::new();
        if rest.is_empty() {
            return Ok(Self { segments });
        }
        let parts: Vec<_> = rest.split('/').collect();
        for (number, part) in parts.iter().enumerate() {
            let segment = match part.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
                Some(inner) => match inner.strip_suffix("...") {
                    Some(name) if number + 1 == parts.len() => Segment::Rest(name.to_owned()),
                    Some(_) => return Err(wrong("{name...} stands last")),
                    None => Segment::One(inner.to_owned()),
                },
                None if part.contains(['{', '}']) => return Err(wrong("a brace stands alone")),
                None if part.is_empty() && number + 1 < parts.len() => {
                    return Err(wrong("an empty segment"));
                }
                None => Segment::Literal((*part).to_owned()),
            };
            if matches!(&segment, Segment::One(name) | Segment::Rest(name) if name.is_empty()) {
                return Err(wrong("a capture has no name"));
            }
            segments.push(segment);
        }
        Ok(Self { segments })
    }

    /// The first segment when it is literal: by it the table finds candidates.
    pub(crate) fn first_literal(&self) -> Option<&str> {
        match self.segments.first() {
            Some(Segment::Literal(text)) => Some(text),
            Some(Segment::One(_) | Segment::Rest(_)) => None,
            None => Some(""),
        }
    }

    /// Orders patterns so that the more literal one comes first.
    pub(crate) fn specificity(&self) -> Vec<u8> {
        let rank = |segment: &Segment| match segment {
            Segment::Literal(_) => 0,
            Segment::One(_) => 1,
            Segment::Rest(_) => 2,
        };
        // A pattern that ends ranks between a capture and the rest: `/a` before `/a/{rest...}`.
        self.segments.iter().map(rank).chain(std::iter::once(1)).collect()
    }

    /// The pattern without the names of its captures: two patterns of one shape match the same paths.
    pub(crate) fn shape(&self) -> String {
        let segment = |segment: &Segment| match segment {
            Segment::Literal(text) => format!("/{text}"),
            Segment::One(_) => "/{}".to_owned(),
            Segment::Rest(_) => "/{...}".to_owned(),
        };
        if self.segments.is_empty() {
            return "/".to_owned();
        }
        self.segments.iter().map(segment).collect()
    }

    /// The names of the captures, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::One(name) | Segment::Rest(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        })
    }

    /// Whether `path` matches; captures are given as spans of `path`.
    pub(crate) fn matches(&self, path: &str, captures: &mut Vec<Span>) -> bool {
        captures.clear();
        // The most frequent pattern of all; what it would capture is the path itself.
        if let [Segment::Rest(_)] = self.segments.as_slice() {
            return path.starts_with('/');
        }
        let span = |start: usize, len: usize| Span {
            start: u32::try_from(start).unwrap_or(u32::MAX),
            len: u32::try_from(len).unwrap_or(0),
        };
        let mut at = 1;
        let mut left = match path.strip_prefix('/') {
            Some("") => None,
            Some(rest) => Some(rest),
            None => return false,
        };
        for segment in &self.segments {
            if let Segment::Rest(_) = segment {
                let rest = left.unwrap_or_default();
                captures.push(span(at.min(path.len()), rest.len()));
                return true;
            }
            let Some(rest) = left else { return false };
            let (part, next) = match rest.split_once('/') {
                Some((part, next)) => (part, Some(next)),
                None => (rest, None),
            };
            match segment {
                Segment::Literal(text) if text == part => {}
                Segment::One(_) if !part.is_empty() => captures.push(span(at, part.len())),
                Segment::Literal(_) | Segment::One(_) | Segment::Rest(_) => return false,
            }
            at += part.len() + 1;
            left = next;
        }
        left.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(pattern: &str, path: &str) -> Option<Vec<String>> {
        let mut captures = Vec::new();
        Pattern::parse(pattern).unwrap().matches(path, &mut captures).then(|| {
            captures
                .iter()
                .map(|span| path[span.start as usize..(span.start + span.len) as usize].to_owned())
                .collect()
        })
    }

    #[test]
    fn patterns_match_what_they_say() {
        assert_eq!(captured("/", "/"), Some(vec![]));
        assert_eq!(captured("/", "/a"), None);
        assert_eq!(captured("/a", "/a"), Some(vec![]));
        assert_eq!(captured("/a", "/a/"), None);
        assert_eq!(captured("/a/", "/a/"), Some(vec![]));
        assert_eq!(captured("/api/apps/{app}", "/api/apps/blog"), Some(vec!["blog".to_owned()]));
        assert_eq!(captured("/api/apps/{app}", "/api/apps/"), None);
        assert_eq!(captured("/api/apps/{app}", "/api/apps/blog/x"), None);
        assert_eq!(
            captured("/api/apps/{app}/files", "/api/apps/b/files"),
            Some(vec!["b".to_owned()])
        );
        assert_eq!(captured("/{path...}", "/"), Some(vec![]));
        assert_eq!(captured("/{path...}", "/a/b/"), Some(vec![]));
        assert_eq!(captured("/x/{path...}", "/x/a/b/"), Some(vec!["a/b/".to_owned()]));
        assert_eq!(captured("/x/{path...}", "/x"), Some(vec![String::new()]));
        assert_eq!(captured("/x/{path...}", "/xy"), None);
    }

    #[test]
    fn wrong_patterns_are_refused() {
        for pattern in ["", "a", "/{}", "/{a...}/b", "/a{b}", "//a", "/{...}"] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn shapes_forget_the_names_of_captures() {
        for (pattern, shape) in
            [("/", "/"), ("/a/{x}/b", "/a/{}/b"), ("/{y...}", "/{...}"), ("/a/", "/a/")]
        {
            assert_eq!(Pattern::parse(pattern).unwrap().shape(), shape);
        }
    }

    #[test]
    fn the_more_literal_pattern_comes_first() {
        let mut patterns = ["/{rest...}", "/a/{x}", "/a", "/a/{rest...}", "/a/b"]
            .map(|text| (Pattern::parse(text).unwrap().specificity(), text));
        patterns.sort();
        assert_eq!(
            patterns.map(|(_, text)| text),
            ["/a/b", "/a", "/a/{x}", "/a/{rest...}", "/{rest...}"]
        );
    }
}
