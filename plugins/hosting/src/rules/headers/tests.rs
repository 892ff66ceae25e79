//! Which headers an answer gets.

use proptest::prelude::*;

use super::*;

fn read(file: &str) -> Headers {
    let (headers, findings) = Headers::parse(file.as_bytes());
    assert_eq!(findings, [], "{file}");
    headers
}

fn get(headers: &Headers, path: &str) -> Vec<String> {
    headers.for_path(path).into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
}

#[test]
fn all_rules_that_match_apply_and_values_are_joined() {
    let headers = read(
        "# security\n/*\n  X-Frame-Options: DENY\n  X-Robots-Tag: nosnippet\n\n\
         /docs/*\n\tX-Robots-Tag: noindex\n\n\
         /docs/a\nCache-Control: max-age=0\ncache-control:no-cache\n  Content-Type: text/a\n\
         /docs/*\n  content-type: text/b; charset=utf-8\n",
    );
    assert_eq!(get(&headers, "/"), ["x-frame-options: DENY", "x-robots-tag: nosnippet"]);
    assert_eq!(
        get(&headers, "/docs/a/"),
        [
            "x-frame-options: DENY",
            "x-robots-tag: nosnippet, noindex",
            "cache-control: max-age=0, no-cache",
            "content-type: text/b; charset=utf-8",
        ]
    );
}

#[test]
fn a_header_is_detached_by_a_later_rule() {
    let headers = read(
        "/*\n  Content-Security-Policy: default-src 'self';\n/*.jpg\n  ! Content-Security-Policy\n\
         /a.jpg\n  !referrer-policy\n  Content-Security-Policy: sandbox",
    );
    let fields = |path| headers.fields(headers.select(path, None, None), path, None);
    assert_eq!(fields("/x").get("content-security-policy"), Some("default-src 'self';"));
    assert_eq!(fields("/d/b.jpg").detached, ["content-security-policy"]);
    assert_eq!(fields("/d/b.jpg").set, []);
    let fields = fields("/a.jpg");
    let defaults = [("referrer-policy", "no-referrer"), ("etag", "\"a\"")];
    assert_eq!(fields.over(defaults), [("etag", "\"a\""), ("content-security-policy", "sandbox")]);
}

#[test]
fn what_rules_set_replaces_what_fazt_sends() {
    let headers = read("/*\n  Cache-Control: no-store\n  x-a: 1");
    let fields = headers.fields(headers.select("/", None, None), "/", None);
    let defaults = [("cache-control", "no-cache"), ("etag", "\"a\"")];
    let all = fields.over(defaults);
    assert_eq!(all, [("etag", "\"a\""), ("cache-control", "no-store"), ("x-a", "1")]);
}

#[test]
fn parts_of_the_address_are_repeated_in_values_and_escaped() {
    let headers = read(
        "/movies/:title\n  x-movie-name: You are watching \":title\"\n\
         https://:project.pages.dev/*\n  x-from: :project :splat :other",
    );
    let path = "/movies/a\r\nb\"c";
    let selection = headers.select(path, Some("blog.pages.dev"), None);
    assert!(headers.depends_on_address(selection));
    assert!(!headers.depends_on_address(Selection::NONE));
    let fields = headers.fields(selection, path, Some("blog.pages.dev"));
    assert_eq!(fields.get("x-movie-name"), Some("You are watching \"a%0D%0Ab%22c\""));
    assert_eq!(fields.get("x-from"), Some("blog movies/a%0D%0Ab%22c :other"));
}

#[test]
fn rules_of_a_host_apply_there_only() {
    let headers = read("https://a.example/*\n  x-a: 1\n/*\n  x-b: 1");
    assert!(headers.has_hosts());
    assert_eq!(get(&headers, "/"), ["x-b: 1"]);
    let on =
        |host| headers.fields(headers.select("/", Some(host), None), "/", Some(host)).set.len();
    assert_eq!((on("a.example"), on("b.example")), (2, 1));
}

#[test]
fn a_rule_speaks_of_the_address_or_of_the_file() {
    let headers = read("/index.html\n  x-page: 1\n/app/*\n  x-app: 1\n/*.html\n  x-html: 1");
    let names = |path, file| {
        let selection = headers.select(path, None, Some(file));
        let fields = headers.fields(selection, path, None);
        fields.set.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names("/", "index.html"), ["x-page", "x-html"]);
    assert_eq!(names("/app/x", "index.html"), ["x-page", "x-app", "x-html"]);
    assert_eq!(names("/app.css", "app.css"), [""; 0]);
}

#[test]
fn what_cannot_be_used_is_left_out_and_said() {
    for (lines, expected) in [
        ("  x-a: 1", "belongs to no path"),
        ("/a", "has no headers"),
        ("/a\n/b\n x: 1", "has no headers"),
        ("/a\n  Date: now", "the node knows that"),
        ("/a\n  x-a: 1\n  nonsense", "`nonsense` is not a header"),
        ("/a\n  x-a: 1\n  b c: d", "not the name of a header"),
        ("/a\n  x-a: 1\n  : d", "not the name of a header"),
        ("/a\n  x-a: 1\n  x-b:", "`x-b` has no value"),
        ("/a\n  x-a: 1\n  x-b: é", "not plain ASCII"),
        ("/a\n  x-a: 1\n  Content-Length: 5", "the node knows that"),
        ("/a\n  x-a: 1\n  ! ETag", "the node knows that"),
        ("/a\n  x-a: 1\n  Transfer-Encoding: chunked", "belongs to the connection"),
        ("/a\n  x-a: 1\n  Location: /b", "redirects have their own file"),
        ("/a\n  x-a: 1\n  Set-Cookie: a=b", "the same cookie to all visitors"),
        ("/a\n  x-a: 1\n  Strict-Transport-Security: max-age=1", "for the node to say"),
        ("/a\n  x-a: 1\n  Basic-Auth: a:b", "sent to everybody"),
        ("/a\n  x-a: 1\n  ! content-type", "every answer has"),
        ("/a\n  x-a: 1\n  service-worker-allowed: /_fazt/", "belongs to the node"),
        ("/a /b\n  x-a: 1", "spaces"),
        ("/a?b\n  x-a: 1", "a query"),
        ("/*/*\n  x-a: 1", "more than one `*`"),
        ("https://a.example:80/*\n  x-a: 1", "not a host name"),
        ("https://*.example/*\n  x-a: 1", "not a host name"),
    ] {
        let (headers, findings) = Headers::parse(lines.as_bytes());
        let text: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(text.len() == 1 && text[0].contains(expected), "{lines}: {text:?}");
        assert!(text[0].starts_with("_headers:") && !findings[0].is_error(), "{text:?}");
        for rule in &headers.rules {
            assert_eq!(rule.lines.len(), 1, "{lines}");
        }
    }
}

#[test]
fn a_file_past_its_bounds_is_refused_with_the_line() {
    let errors = |file: &str| {
        let (headers, findings) = Headers::parse(file.as_bytes());
        let errors: Vec<_> =
            findings.iter().filter(|one| one.is_error()).map(|one| (one.line, one.code)).collect();
        (headers.rules.len(), errors)
    };
    let rules = |count: usize| -> String {
        (0..count).map(|number| format!("/{number}\n  x-a: {number}\n")).collect()
    };
    assert_eq!(errors(&rules(HEADER_RULES_MAX)), (100, vec![]));
    assert_eq!(errors(&rules(HEADER_RULES_MAX + 2)), (100, vec![(201, Finding::LIMIT)]));
    let long = format!("/a\n  x-a: {}\n  x-b: 1", "x".repeat(2_000));
    assert_eq!(errors(&long), (1, vec![(2, Finding::LIMIT)]));
    let lines: String =
        (0..20).map(|number| format!("  x-{number}: {}\n", "x".repeat(1_000))).collect();
    assert_eq!(errors(&format!("/a\n{lines}")), (1, vec![(1, Finding::LIMIT)]));
    let (headers, _) = Headers::parse(format!("/a\n{lines}").as_bytes());
    assert_eq!(headers.for_path("/a").len(), 16, "an answer stays small");
}

#[test]
fn the_last_of_the_most_rules_is_selected_too() {
    let file: String = (0..HEADER_RULES_MAX).map(|at| format!("/*\n  x-{at}: {at}\n")).collect();
    assert_eq!(read(&file).for_path("/").len(), HEADER_RULES_MAX);
}

const LINES: &str = "(/[ab]|/\\*|/:a|https://:a\\.x/\\*| x-[ab]: [:a-c]{0,4}| ! x-a| :|!|é| ){0,6}";

proptest! {
    #[test]
    fn any_file_is_read_and_what_is_sent_is_safe(
        lines in proptest::collection::vec(LINES, 0..8), path in "\\PC{0,10}|[/ab\r\n:]{0,8}",
    ) {
        let (headers, _) = Headers::parse(lines.join("\n").as_bytes());
        let path = format!("/{path}");
        let selection = headers.select(&path, Some("b.x"), Some(&path[1..]));
        let fields = headers.fields(selection, &path, Some("b.x"));
        for (name, value) in &fields.set {
            prop_assert!(name.bytes().all(parse::is_token));
            prop_assert!(value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)));
            prop_assert!(fields.set.iter().filter(|(other, _)| other == name).count() == 1);
            prop_assert!(!fields.detached.contains(name));
        }
    }

    #[test]
    fn bytes_are_read(file in proptest::collection::vec(any::<u8>(), 0..200)) {
        Headers::parse(&file);
    }
}
