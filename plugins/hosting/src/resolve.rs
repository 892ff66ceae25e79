//! Which file answers a request path.
//!
//! The caller has decoded the path once and knows the files of the active deployment; this decides
//! and does nothing. Access follows from the [`Visibility`] stored with each file, never from the
//! path.
//!
//! Tried in order, the first file that exists decides, whatever its visibility:
//!
//! | Request | Candidates |
//! |---|---|
//! | `/` | `index.html` |
//! | `/about` | `about`, `about/index.html`, `about.html` |
//! | `/about/` | those of `/about`: if one exists, 301 to `/about` |
//! | none of them, [`Routing::SinglePage`] | `index.html`, for a path without an extension |
//! | still none | `404.html`, with status 404 |

use std::fmt::Write as _;

use crate::archive::PATH_BYTES_MAX;
use crate::visibility::Visibility;

/// What a path leads to. `T` is what the caller's lookup returned for the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution<T> {
    /// Send the file with status 200, or 206 or 304 as its conditions say.
    File(T),
    /// Send the app's own `404.html` with status 404.
    NotFoundPage(T),
    /// Send a plain 404.
    NotFound,
    /// Send 301 with [`redirect_location`] of the same path.
    WithoutSlash,
    /// Send 301 with [`redirect_location`] of the same path, and a `/` after it. Never what
    /// [`resolve`] says: whoever knows the whole deployment may say it instead of [`File`](Self::File).
    WithSlash,
    /// Send 401, or offer to sign in: the path needs a session of the app.
    Unauthorized,
}

/// How an app routes paths that have no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Routing {
    /// They are not found.
    #[default]
    Files,
    /// `index.html` routes them in the browser.
    SinglePage,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Viewer {
    /// Nobody known.
    #[default]
    Anonymous,
    /// Somebody with a session of this app.
    SignedIn,
}

/// Decides what answers `path`, which starts with `/`, is decoded and has no query.
///
/// `lookup` finds a file of the active deployment by its canonical path. It is called at most six
/// times. A path that is not canonical, such as `//a`, `/a/../b` or one with a backslash, names no
/// file and gets no fallback.
///
/// A path under `private/` that has no file is `Unauthorized` too for an anonymous viewer, so that
/// nobody learns which names exist.
pub fn resolve<T>(
    path: &str,
    routing: Routing,
    viewer: Viewer,
    lookup: impl Fn(&str) -> Option<(Visibility, T)>,
) -> Resolution<T> {
    let Some(relative) = path.strip_prefix('/').filter(|relative| is_canonical(relative)) else {
        return Resolution::NotFound;
    };
    let bare = relative.strip_suffix('/').unwrap_or(relative);
    let has_slash = bare.len() < relative.len();
    match find(bare, &lookup) {
        Some((Visibility::Private, _)) if viewer == Viewer::Anonymous => {
            return Resolution::Unauthorized;
        }
        Some((Visibility::Public | Visibility::Private, _)) if has_slash => {
            return Resolution::WithoutSlash;
        }
        Some((Visibility::Public | Visibility::Private, file)) => return Resolution::File(file),
        Some((Visibility::Server, _)) => return not_found(&lookup),
        None => {}
    }
    if is_in(bare, "private") && viewer == Viewer::Anonymous {
        return Resolution::Unauthorized;
    }
    if routing == Routing::SinglePage
        && is_route(bare)
        && let Some(page) = public(&lookup, "index.html")
    {
        return Resolution::File(page);
    }
    not_found(&lookup)
}

/// The value of `location` that takes `path` to itself without its last `/`, or with one when
/// `ends_in_slash`, keeping the query.
///
/// The result is a path on the same host: it starts with exactly one `/`, and everything that is
/// not plainly part of a path or a query is percent-encoded (RFC 3986 §3.3, §3.4), so that it
/// cannot end the header or be read as another host.
pub fn redirect_location(path: &str, query: Option<&str>, ends_in_slash: bool) -> String {
    let mut location = String::with_capacity(path.len() + query.map_or(0, str::len) + 1);
    location.push('/');
    let is_slash = |c| matches!(c, '/' | '\\');
    percent_encode(&mut location, path.trim_start_matches(is_slash).trim_end_matches('/'), b"/");
    if ends_in_slash && location.len() > 1 {
        location.push('/');
    }
    if let Some(query) = query {
        location.push('?');
        // The query was never decoded: its escapes stay as they are.
        percent_encode(&mut location, query, b"/?%");
    }
    location
}

/// Whether a file answers `path`, which starts with `/`, by its own name or a pretty one; whoever may
/// see it.
pub(crate) fn names_file<T>(path: &str, lookup: &impl Fn(&str) -> Option<(Visibility, T)>) -> bool {
    let Some(relative) = path.strip_prefix('/').filter(|relative| is_canonical(relative)) else {
        return false;
    };
    find(relative.strip_suffix('/').unwrap_or(relative), lookup).is_some()
}

fn find<T>(
    bare: &str,
    lookup: &impl Fn(&str) -> Option<(Visibility, T)>,
) -> Option<(Visibility, T)> {
    if bare.is_empty() {
        return lookup("index.html");
    }
    lookup(bare).or_else(|| {
        let mut buffer = [0; PATH_BYTES_MAX];
        ["/index.html", ".html"].into_iter().find_map(|end| lookup(join(&mut buffer, bare, end)?))
    })
}

/// `bare` and `end` in one, without allocating; nothing when that is too long to name a file.
fn join<'b>(buffer: &'b mut [u8; PATH_BYTES_MAX], bare: &str, end: &str) -> Option<&'b str> {
    let joined = buffer.get_mut(..bare.len() + end.len())?;
    let (start, rest) = joined.split_at_mut(bare.len());
    start.copy_from_slice(bare.as_bytes());
    rest.copy_from_slice(end.as_bytes());
    str::from_utf8(joined).ok()
}

fn not_found<T>(lookup: &impl Fn(&str) -> Option<(Visibility, T)>) -> Resolution<T> {
    match public(lookup, "404.html") {
        Some(page) => Resolution::NotFoundPage(page),
        None => Resolution::NotFound,
    }
}

fn public<T>(lookup: &impl Fn(&str) -> Option<(Visibility, T)>, path: &str) -> Option<T> {
    match lookup(path) {
        Some((Visibility::Public, file)) => Some(file),
        Some((Visibility::Private | Visibility::Server, _)) | None => None,
    }
}

/// Whether a single-page app may route `bare`: it looks like a page, and not like a place where a
/// missing file should be reported as missing.
fn is_route(bare: &str) -> bool {
    let last = bare.rsplit('/').next().unwrap_or_default();
    !last.contains('.')
        && !is_in(bare, "api")
        && !is_in(bare, "private")
        && !bare.split('/').any(|segment| segment.starts_with('.'))
}

fn is_in(bare: &str, folder: &str) -> bool {
    bare.split('/').next() == Some(folder)
}

/// Whether every segment names something, except that a `/` may end the path.
pub(crate) fn is_canonical(relative: &str) -> bool {
    let bare = relative.strip_suffix('/').unwrap_or(relative).as_bytes();
    let mut start = 0;
    for (at, byte) in bare.iter().enumerate() {
        match byte {
            b'/' if !is_name(&bare[start..at]) => return false,
            b'/' => start = at + 1,
            b'\\' | 0..=0x1f | 0x7f => return false,
            // U+0080 to U+009F are controls too: two bytes, the first of them this one.
            0xc2 if matches!(bare.get(at + 1), Some(0x80..=0x9f)) => return false,
            _ => {}
        }
    }
    relative.is_empty() || is_name(&bare[start..])
}

fn is_name(segment: &[u8]) -> bool {
    !matches!(segment, b"" | b"." | b"..")
}

/// Appends `text`; bytes other than unreserved ones, sub-delimiters, `:`, `@` and `also` are
/// escaped.
pub(crate) fn percent_encode(location: &mut String, text: &str, also: &[u8]) {
    for byte in text.bytes() {
        let is_plain = byte.is_ascii_alphanumeric()
            || b"-._~!$&'()*+,;=:@".contains(&byte)
            || also.contains(&byte);
        if is_plain {
            location.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _: std::fmt::Result = write!(location, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::visibility::Layout;

    type Site = HashMap<String, Visibility>;

    fn site(paths: &[&str]) -> Site {
        let visibility = |path: &str| Visibility::of(path, Layout::default());
        paths.iter().map(|path| ((*path).to_owned(), visibility(path))).collect()
    }

    fn ask(site: &Site, path: &str, routing: Routing, viewer: Viewer) -> Resolution<String> {
        let calls = Cell::new(0);
        let resolution = resolve(path, routing, viewer, |path| {
            calls.set(calls.get() + 1);
            site.get(path).map(|visibility| (*visibility, path.to_owned()))
        });
        assert!(calls.get() <= 6);
        resolution
    }

    fn file(path: &str) -> Resolution<String> {
        Resolution::File(path.to_owned())
    }

    #[test]
    fn files_are_found_under_their_pretty_names() {
        let site = site(&[
            "index.html",
            "about/index.html",
            "blog.html",
            "blog",
            "team.html",
            "team/a.html",
            "docs",
            "docs.html",
            "a/index.html",
            "a.html",
            ".well-known/x",
            "spa%2fx",
        ]);
        let cases = [
            ("/", file("index.html")),
            ("/index.html", file("index.html")),
            ("/about", file("about/index.html")),
            ("/about/", Resolution::WithoutSlash),
            ("/about/index.html", file("about/index.html")),
            ("/blog", file("blog")),
            ("/blog.html", file("blog.html")),
            ("/blog/", Resolution::WithoutSlash),
            ("/team", file("team.html")),
            ("/team/", Resolution::WithoutSlash),
            ("/docs", file("docs")),
            ("/a", file("a/index.html")),
            ("/.well-known/x", file(".well-known/x")),
            ("/spa%2fx", file("spa%2fx")),
            ("/index.html/", Resolution::WithoutSlash),
            ("/missing", Resolution::NotFound),
            ("/missing/", Resolution::NotFound),
            ("/ABOUT", Resolution::NotFound),
            ("/index", file("index.html")),
        ];
        for (path, expected) in cases {
            assert_eq!(ask(&site, path, Routing::Files, Viewer::Anonymous), expected, "{path}");
        }
    }

    #[test]
    fn paths_that_are_not_canonical_name_nothing() {
        let site = site(&["index.html", "private/k", "a/b", "404.html"]);
        for path in [
            "",
            "a/b",
            "//",
            "//a/b",
            "//private/k",
            "/x/../private/k",
            "/./a/b",
            "/a//b",
            "/a/b//",
            "/a\\b",
            "/\\evil.example",
            "/a/b\0",
            "/a\r\n/b",
            "/..",
            "/.",
        ] {
            for routing in [Routing::Files, Routing::SinglePage] {
                let resolution = ask(&site, path, routing, Viewer::SignedIn);
                assert_eq!(resolution, Resolution::NotFound, "{path:?}");
            }
        }
    }

    #[test]
    fn a_single_page_app_routes_pages_only() {
        let site = site(&["index.html", "404.html", "private/k", "api/main.js", "main.js"]);
        for path in ["/", "/a", "/a/b/c", "/a/", "/user@1", "/apis", "/privates"] {
            let resolution = ask(&site, path, Routing::SinglePage, Viewer::Anonymous);
            assert_eq!(resolution, file("index.html"), "{path}");
        }
        for path in [
            "/a.js",
            "/a/b.png",
            "/api",
            "/api/x",
            "/api/",
            "/.env",
            "/.git/config",
            "/a/.x/y",
            "/api/main.js",
            "/api/main",
            "/v1.2",
        ] {
            let resolution = ask(&site, path, Routing::SinglePage, Viewer::Anonymous);
            assert_eq!(resolution, Resolution::NotFoundPage("404.html".to_owned()), "{path}");
        }
    }

    #[test]
    fn private_needs_a_session_and_tells_nothing_without_one() {
        let site = site(&["index.html", "private/k", "private/d/index.html"]);
        for path in ["/private/k", "/private/k/", "/private/d", "/private/none", "/private"] {
            for routing in [Routing::Files, Routing::SinglePage] {
                let resolution = ask(&site, path, routing, Viewer::Anonymous);
                assert_eq!(resolution, Resolution::Unauthorized, "{path}");
            }
        }
        let signed_in = |path| ask(&site, path, Routing::SinglePage, Viewer::SignedIn);
        assert_eq!(signed_in("/private/k"), file("private/k"));
        assert_eq!(signed_in("/private/d"), file("private/d/index.html"));
        assert_eq!(signed_in("/private/none"), Resolution::NotFound);
        assert_eq!(signed_in("/private"), Resolution::NotFound);
    }

    #[test]
    fn access_follows_the_stored_visibility_and_not_the_path() {
        let mut site = site(&["index.html", "404.html"]);
        site.insert("hidden.html".to_owned(), Visibility::Private);
        site.insert("code.html".to_owned(), Visibility::Server);
        let ask = |path| ask(&site, path, Routing::SinglePage, Viewer::Anonymous);
        assert_eq!(ask("/hidden"), Resolution::Unauthorized);
        assert_eq!(ask("/code"), Resolution::NotFoundPage("404.html".to_owned()));
    }

    #[test]
    fn fallback_pages_must_be_public() {
        let mut site = Site::new();
        site.insert("index.html".to_owned(), Visibility::Private);
        site.insert("404.html".to_owned(), Visibility::Server);
        let resolution = ask(&site, "/a", Routing::SinglePage, Viewer::SignedIn);
        assert_eq!(resolution, Resolution::NotFound);
    }

    #[test]
    fn redirects_stay_on_the_host_and_keep_the_query() {
        let cases = [
            ("/about/", None, "/about"),
            ("/about/", Some("a=1&b=%20"), "/about?a=1&b=%20"),
            ("/about/", Some(""), "/about?"),
            ("/a b/é/", None, "/a%20b/%C3%A9"),
            ("/a%2fb/", None, "/a%252fb"),
            ("/a?b#c/", None, "/a%3Fb%23c"),
            ("//evil.example/", None, "/evil.example"),
            ("/\\evil.example/", None, "/evil.example"),
            ("/a/", Some("x\r\nset-cookie: y"), "/a?x%0D%0Aset-cookie:%20y"),
            ("/", None, "/"),
        ];
        for (path, query, expected) in cases {
            assert_eq!(redirect_location(path, query, false), expected);
        }
    }

    const PIECES: &str =
        "(/|/\\.|/\\.\\.|/a|/b\\.html|/index\\.html|/private|/api|/k|\\\\|é|//){0,5}/?";

    proptest! {
        #[test]
        fn what_is_canonical_is_what_every_segment_says(path in "[a./\u{85}\u{a0}\\\\\u{7f}\0 é]{0,8}") {
            let bare = path.strip_suffix('/').unwrap_or(&path);
            let has_names = bare.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
            let is_plain = !path.contains(|c: char| c == '\\' || c.is_control());
            prop_assert_eq!(is_canonical(&path), path.is_empty() || has_names && is_plain);
        }

        #[test]
        fn server_files_are_never_served_and_private_ones_only_to_the_signed_in(
            path in PIECES,
            files in proptest::collection::hash_map(
                "(a|k|private/k|api/k|index|private/index|a/index|404)(\\.html)?",
                prop_oneof![
                    Just(Visibility::Public), Just(Visibility::Private), Just(Visibility::Server),
                ],
                0..8,
            ),
            is_single_page: bool,
            is_signed_in: bool,
        ) {
            let routing = if is_single_page { Routing::SinglePage } else { Routing::Files };
            let viewer = if is_signed_in { Viewer::SignedIn } else { Viewer::Anonymous };
            match ask(&files, &path, routing, viewer) {
                Resolution::File(served) => {
                    let visibility = files[&served];
                    prop_assert_ne!(visibility, Visibility::Server);
                    prop_assert!(visibility == Visibility::Public || is_signed_in);
                }
                Resolution::NotFoundPage(served) => {
                    prop_assert_eq!(files[&served], Visibility::Public);
                }
                Resolution::WithoutSlash => {
                    let location = redirect_location(&path, None, false);
                    let next = ask(&files, &location, routing, viewer);
                    // Plain here, so that the location needs no decoding to be asked again.
                    let is_plain = path.is_ascii();
                    prop_assert!(!is_plain || matches!(next, Resolution::File(_)));
                }
                Resolution::NotFound | Resolution::Unauthorized => {}
                Resolution::WithSlash => prop_assert!(false, "a path alone cannot say so"),
            }
        }

        #[test]
        fn a_location_starts_with_one_slash_and_is_one_header_line(
            path in "\\PC{0,20}|[/\\\\\r\n\t.a]{0,12}",
            query in proptest::option::of("(?s).{0,20}"),
        ) {
            let location = redirect_location(&path, query.as_deref(), false);
            prop_assert!(location.starts_with('/'));
            prop_assert!(!matches!(location.as_bytes().get(1), Some(b'/' | b'\\')));
            prop_assert!(location.bytes().all(|byte| byte.is_ascii_graphic()));
        }

        #[test]
        fn every_path_is_answered(path in "(?s).{0,40}") {
            let site = site(&["index.html", "404.html"]);
            for routing in [Routing::Files, Routing::SinglePage] {
                ask(&site, &path, routing, Viewer::Anonymous);
            }
        }
    }
}
