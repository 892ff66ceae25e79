//! What is compared with what.

use proptest::prelude::*;

use super::*;

fn ask(pattern: &str, path: &str) -> Option<Vec<(String, String)>> {
    let mut names = Names::default();
    let pattern = PathPattern::parse(pattern, &mut names).unwrap();
    let mut found = Vec::new();
    let does = pattern.matches(path, |number, text| {
        found.push((names.0[number].clone(), text.to_owned()));
    });
    found.sort();
    does.then_some(found)
}

fn pairs(pairs: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
    Some(pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect())
}

#[test]
fn text_matches_itself_with_and_without_a_slash_at_the_end() {
    for pattern in ["/a/b", "/a/b/"] {
        assert_eq!(ask(pattern, "/a/b"), pairs(&[]));
        assert_eq!(ask(pattern, "/a/b/"), pairs(&[]));
        for other in ["/a", "/a/b/c", "/a/bc", "/A/b", "/", "", "/a/b//"] {
            assert_eq!(ask(pattern, other), None, "{other}");
        }
    }
    assert_eq!(ask("/", "/"), pairs(&[]));
    assert_eq!(ask("/", "/a"), None);
    assert_eq!(ask("/a%20b/%C3%A9", "/a b/é"), pairs(&[]));
}

#[test]
fn a_placeholder_is_one_segment_or_a_part_of_it() {
    assert_eq!(ask("/n/:y/:m", "/n/2004/02"), pairs(&[("m", "02"), ("y", "2004")]));
    assert_eq!(ask("/n/:y/:m", "/n/2004/02/"), pairs(&[("m", "02"), ("y", "2004")]));
    assert_eq!(ask("/n/:y/:m", "/n/2004"), None);
    assert_eq!(ask("/n/:y", "/n/2004/02"), None);
    assert_eq!(ask("/n/:y", "/n/"), None);
    assert_eq!(ask("/b-:y.html", "/b-x.y.html"), pairs(&[("y", "x.y")]));
    assert_eq!(ask("/b-:y.html", "/b-.html"), None);
    assert_eq!(ask("/:a/x", "/q/x"), pairs(&[("a", "q")]));
}

#[test]
fn a_splat_is_anything() {
    assert_eq!(ask("/*", "/"), pairs(&[("splat", "")]));
    assert_eq!(ask("/*", "/a/b/"), pairs(&[("splat", "a/b/")]));
    for (path, splat) in [("/n", ""), ("/n/", ""), ("/n/a", "a"), ("/n/a/b/", "a/b/")] {
        assert_eq!(ask("/n/*", path), pairs(&[("splat", splat)]), "{path}");
    }
    assert_eq!(ask("/n/*", "/news"), None);
    assert_eq!(ask("/n*", "/news/x"), pairs(&[("splat", "ews/x")]));
    assert_eq!(ask("/*.jpg", "/a/b.jpg"), pairs(&[("splat", "a/b")]));
    assert_eq!(ask("/*.jpg", "/a/b.png"), None);
    assert_eq!(ask("/a/*/z", "/a/z"), None, "the two slashes are two");
    assert_eq!(ask("/a/*/z/:n", "/a/b/c/z/d"), pairs(&[("n", "d"), ("splat", "b/c")]));
    assert_eq!(ask("/a/*/z-:n", "/a/b/c/z-d"), pairs(&[("n", "d"), ("splat", "b/c")]));
    assert_eq!(ask("/:x/*", "/a/b/c"), pairs(&[("splat", "b/c"), ("x", "a")]));
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for pattern in [
        "/*/*", "/:a:b", "/:a-:b", "/:a*", "/*:a", "/:a/:a", "/%zz", "/a%2fb", "/%ff", "/%5c",
        "//", "/a//b",
    ] {
        let read = PathPattern::parse(pattern, &mut Names::default());
        assert!(read.is_err(), "{pattern}");
    }
    let many: String = (0..=PLACEHOLDERS_MAX).map(|number| format!("/:n{number}")).collect();
    assert!(PathPattern::parse(&many, &mut Names::default()).is_err());
}

#[test]
fn a_host_is_compared_label_by_label() {
    let mut names = Names::default();
    let host = HostPattern::parse(":project.Pages.dev", &mut names).unwrap();
    let mut project = "";
    assert!(host.matches("blog.pages.dev", |_, label| project = label));
    assert_eq!(project, "blog");
    for other in ["pages.dev", "a.b.pages.dev", ".pages.dev", "blog.pages.dev.evil", ""] {
        assert!(!host.matches(other, |_, _| {}), "{other}");
    }
    for wrong in ["", "a..b", "a b", "a:80", "*.a", "x-:a.b", "[::1]"] {
        assert!(HostPattern::parse(wrong, &mut Names::default()).is_err(), "{wrong}");
    }
}

#[test]
fn the_names_of_files_are_compared_without_their_slash() {
    for (pattern, file, expected) in [
        ("/index.html", "index.html", true),
        ("/*", "a/b", true),
        ("/*.html", "a/b.html", true),
        ("/*.html", "a/b.css", false),
        ("/a/*", "a/b", true),
        ("/a/*", "ab", false),
        ("/:n", "b", true),
        ("/:n/c", "b/c", true),
        ("/", "b", false),
    ] {
        let pattern = PathPattern::parse(pattern, &mut Names::default()).unwrap();
        assert_eq!(pattern.matches_below_root(file), expected, "{pattern:?} {file}");
    }
}

const PATTERN: &str = "(/[a-c]{0,2}|/:[a-c]|/x:[a-c]y|/%20){1,4}(/?\\*(\\.[a-c]|/[a-c])?)?/?";

proptest! {
    #[test]
    fn a_pattern_matches_its_own_example(pattern in PATTERN, filler in "[a-c]{1,3}") {
        if let Ok(pattern) = PathPattern::parse(&pattern, &mut Names::default()) {
            let example = pattern.example(&filler);
            prop_assert!(pattern.matches(&example, |_, _| {}), "{pattern:?} {example}");
        }
    }

    #[test]
    fn files_are_compared_as_their_paths(
        pattern in PATTERN, file in "[a-c]{1,2}(/[a-c]{1,2}){0,3}(\\.[a-c])?",
    ) {
        if let Ok(pattern) = PathPattern::parse(&pattern, &mut Names::default()) {
            let as_path = pattern.matches(&format!("/{file}"), |_, _| {});
            prop_assert_eq!(pattern.matches_below_root(&file), as_path);
        }
    }

    #[test]
    fn any_pattern_and_any_path_are_compared(pattern in "/\\PC{0,20}", path in "\\PC{0,20}") {
        let mut names = Names::default();
        if let Ok(pattern) = PathPattern::parse(&pattern, &mut names) {
            let mut found = Found::default();
            if pattern.matches(&path, |number, text| found.set(number, text)) {
                for number in 0..names.0.len() {
                    prop_assert!(path.contains(found.get(number)));
                }
            }
        }
    }

    #[test]
    fn decoding_is_the_opposite_of_encoding(text in "\\PC{0,20}") {
        let mut encoded = String::new();
        crate::resolve::percent_encode(&mut encoded, &text, b"/");
        prop_assert_eq!(decode(&encoded).unwrap(), text);
    }
}
