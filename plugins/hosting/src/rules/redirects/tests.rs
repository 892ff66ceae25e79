//! What rules mean, and what is said about those that mean nothing.

use proptest::prelude::*;

use super::*;

fn read(file: &str) -> Redirects {
    let (redirects, findings) = Redirects::parse(file.as_bytes());
    assert_eq!(findings, [], "{file}");
    redirects
}

fn said(file: &str) -> Vec<String> {
    Redirects::parse(file.as_bytes()).1.iter().map(ToString::to_string).collect()
}

fn find(file: &str, target: &str, ask: &Ask<'_>, files: &[&str]) -> Option<Outcome> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Redirects::parse(file.as_bytes()).0.find(path, query, ask, |path| files.contains(&path))
}

fn to(location: &str, status: u16) -> Option<Outcome> {
    Some(Outcome::Redirect { location: location.to_owned(), status })
}

fn file(path: &str, status: u16) -> Option<Outcome> {
    Some(Outcome::Rewrite { path: path.to_owned(), status })
}

#[track_caller]
fn check(file: &str, cases: &[(&str, Option<Outcome>)]) {
    read(file);
    for (target, expected) in cases {
        assert_eq!(find(file, target, &Ask::default(), &[]), *expected, "{target} of {file}");
    }
}

#[test]
fn a_rule_without_a_status_is_permanent() {
    check(
        "# where pages went\n\n  /home   /  # the front page\n/a /b 302\n/c /d 303\n/e /f 307\n/g /h 308",
        &[
            ("/home", to("/", 301)),
            ("/home/", to("/", 301)),
            ("/a", to("/b", 302)),
            ("/c", to("/d", 303)),
            ("/e", to("/f", 307)),
            ("/g", to("/h", 308)),
            ("/homes", None),
            ("/", None),
        ],
    );
}

#[test]
fn the_first_rule_wins_whether_it_is_literal_or_not() {
    check(
        "/a/b /first\n/a/* /second/:splat\n/a/c /third",
        &[
            ("/a/b", to("/first", 301)),
            ("/a/c", to("/second/c", 301)),
            ("/a/d/e/", to("/second/d/e/", 301)),
            ("/a", to("/second/", 301)),
        ],
    );
}

#[test]
fn files_win_unless_the_rule_is_forced() {
    let rules = "/a /b\n/c /d 301!\n/* /index.html 200";
    let files = ["/a", "/c"];
    assert_eq!(find(rules, "/a", &Ask::default(), &files), None);
    assert_eq!(find(rules, "/c", &Ask::default(), &files), to("/d", 301));
    assert_eq!(find(rules, "/x", &Ask::default(), &files), file("/index.html", 200));
    let asked = std::cell::Cell::new(0);
    let count = |_: &str| {
        asked.set(asked.get() + 1);
        true
    };
    read(rules).find("/a", "", &Ask::default(), count);
    assert_eq!(asked.get(), 1);
    read(rules).find("/c", "", &Ask::default(), count);
    assert_eq!(asked.get(), 1, "a forced rule needs no answer");
}

#[test]
fn rewrites_answer_with_a_decoded_path_of_the_site() {
    check(
        "/p /a%20b.html?x=1#y 200\n/n/:name /pages/:name.html 200\n/gone 410\n/en/* /en/404.html 404",
        &[
            ("/p", file("/a b.html", 200)),
            ("/n/é d", file("/pages/é d.html", 200)),
            ("/gone", file("/404.html", 410)),
            ("/en/x/y", file("/en/404.html", 404)),
        ],
    );
}

#[test]
fn parameters_are_matched_exactly_and_are_not_passed_on() {
    check(
        "/store id=:id /blog/:id 301\n/list tag=:tag page=2 /tags/:tag?p=two\n/list tag=:tag /tags/:tag",
        &[
            ("/store?id=my-post", to("/blog/my-post", 301)),
            ("/store?id=a%2Fb%20c+d", to("/blog/a%2Fb%20c%20d", 301)),
            ("/store?id=a&x=1", None),
            ("/store?id=a&id=b", None),
            ("/store", None),
            ("/store?id=%zz", None),
            ("/store?id", to("/blog/", 301)),
            ("/list?page=2&tag=x", to("/tags/x?p=two", 301)),
            ("/list?page=3&tag=x", None),
            ("/list?tag=x&&", to("/tags/x", 301)),
        ],
    );
}

#[test]
fn the_query_is_passed_on_unless_the_destination_has_one() {
    check(
        "/a /b#part\n/c /d?x=1#:part\n/e/:x /f?y=:x&z=:x#:x\n/g https://h.example?:part",
        &[
            ("/a?q=1&r=%20", to("/b?q=1&r=%20#part", 301)),
            ("/c?q=1", to("/d?x=1#:part", 301)),
            ("/e/a&b=c", to("/f?y=a%26b%3Dc&z=a%26b%3Dc#a%26b%3Dc", 301)),
            ("/g?q=1", to("https://h.example/?:part", 301)),
        ],
    );
}

#[test]
fn a_host_in_the_path_is_compared_without_scheme_and_port() {
    let rules = "http://blog.example.com/* https://www.example.com/blog/:splat 301!\n\
                 https://old.example.com/a /b";
    read(rules);
    let on = |host, path| find(rules, path, &Ask { host, ..Ask::default() }, &["/x"]);
    assert_eq!(on(Some("blog.example.com"), "/x"), to("https://www.example.com/blog/x", 301));
    assert_eq!(on(Some("www.example.com"), "/x"), None);
    assert_eq!(on(None, "/x"), None);
    assert_eq!(on(Some("old.example.com"), "/a"), to("/b", 301));
}

#[test]
fn a_redirect_to_the_right_host_ends_there() {
    let rules = "/* https://example.org/:splat 301!";
    let on = |host, path| find(rules, path, &Ask { host, ..Ask::default() }, &["/x"]);
    assert_eq!(on(Some("www.example.org"), "/x/?q"), to("https://example.org/x/?q", 301));
    assert_eq!(on(Some("example.org"), "/x/?q"), None);
    assert_eq!(said(rules), [""; 0]);
    assert_eq!(read(rules).loops(|_| false), []);
}

#[test]
fn languages_and_cookies_decide() {
    let rules =
        "/ /de 302 Language=de,at\n/ /en 302 Language=en\n/* /old/:splat 200! Cookie=legacy,beta";
    assert!(read(rules).has_conditions());
    assert!(!read("/a /b").has_conditions());
    let only_some = read("/ /de 302 Language=de\n/a /b");
    let depends = |path| only_some.depends_on_visitor(path);
    assert_eq!([depends("/"), depends("/a"), depends("/x.css")], [true, false, false]);
    let ask = |language: &'static str, cookie: &'static str| {
        let ask = Ask {
            language: Some(language.as_bytes()),
            cookie: Some(cookie.as_bytes()),
            host: None,
        };
        find(rules, "/", &ask, &[])
    };
    for (language, expected) in [
        ("de", to("/de", 302)),
        ("de-CH, en;q=0.9", to("/de", 302)),
        ("DE", to("/de", 302)),
        ("de, en", to("/de", 302)),
        ("en, de", to("/en", 302)),
        ("en;q=0.1, de;q=0.2", to("/de", 302)),
        ("en-GB,de;q=0.9", to("/en", 302)),
        ("fr, de;q=0.9", None),
        ("den", None),
        ("*", None),
        ("", None),
    ] {
        assert_eq!(ask(language, ""), expected, "{language}");
    }
    assert_eq!(ask("de", "nf_lang=en; a=b"), to("/en", 302));
    for (cookie, expected) in [
        ("legacy=1", file("/old/", 200)),
        ("a=b;beta=", file("/old/", 200)),
        ("legacyx=1", None),
        ("a=legacy", None),
        ("legacy", None),
    ] {
        assert_eq!(ask("fr", cookie), expected, "{cookie}");
    }
    assert_eq!(find(rules, "/", &Ask::default(), &[]), None);
}

#[test]
fn a_visitor_cannot_choose_another_host_or_another_header() {
    check(
        "/x/* /:splat\n/go to=:to /:to\n/y/:n https://e.example/:n",
        &[
            ("/x//evil.example", None),
            ("/x/\\evil.example", None),
            ("/x/a\\evil.example", None),
            ("/x/\u{9}/evil.example", None),
            ("/x/a\r\nset-cookie: b", None),
            ("/go?to=/evil.example", to("/%2Fevil.example", 301)),
            ("/go?to=%5Cevil.example", to("/%5Cevil.example", 301)),
            ("/go?to=%0D%0Aset-cookie:%20a", to("/%0D%0Aset-cookie:%20a", 301)),
            ("/y/a@b:c?d\r\n=e", to("https://e.example/a@b:c?d%0D%0A=e", 301)),
            ("/y/..", None),
        ],
    );
    for rule in [
        "/go/:host https://:host/",
        "/go/* https://example.com:splat",
        "/go/* //:splat",
        "/go/* :splat",
        "/go/:n https://user:n@example.com/",
        "/go/* javascript:alert(1)",
        "/go/* data://x",
        "/go https://a\\b/",
        "/go //evil.example",
        "/go //evil.example 200",
    ] {
        let (redirects, findings) = Redirects::parse(rule.as_bytes());
        assert!(redirects.is_empty() && findings.len() == 1, "{rule}: {findings:?}");
    }
}

#[test]
fn what_cannot_be_used_is_left_out_and_said() {
    for (rule, expected) in [
        ("/api/* https://api.example.com/:splat 200", "fazt does not fetch pages of other hosts"),
        ("/ /us 302 Country=us", "nobody here knows the country"),
        ("/admin/* 200! Role=admin", "visitors have no roles"),
        ("/a /b 302 Weather=rain", "no condition `Weather`"),
        ("/a /b 302 maybe", "`maybe` is not understood"),
        ("/a /b !", "`!` is not understood"),
        ("/a", "`/a` leads nowhere"),
        ("/a 301", "`/a` leads nowhere"),
        ("/a /b 299", "`299` is not a status"),
        ("/a /b 99999", "`99999` is not a status"),
        ("a /b", "`a` is neither a path nor a URL"),
        ("//a /b", "neither a path nor a URL"),
        ("/a?b=1 /c", "the path has a query"),
        ("/a /a/", "only adds or removes a slash"),
        ("/a/ /a 301!", "only adds or removes a slash"),
        ("/*/*/x /b", "more than one `*`"),
        ("/a :id /b", "`:id` is not understood"),
        ("/a id=x:id /b", "not a parameter"),
        ("/a/:id id=:id /b", "`:id` is there twice"),
        ("https://example.com:80/a /b", "not a host name"),
        ("/a/%zz /b", "broken escape"),
        ("/a /%zz", "broken escape"),
        ("/a /%zz 200", "broken escape"),
        ("/a Language=en /b", "a condition stands before"),
        ("/a\u{1} /b", "control characters"),
        ("/a/:host https://:host.example/", "a visitor would choose the host"),
    ] {
        let (redirects, findings) = Redirects::parse(format!("\n{rule}\n").as_bytes());
        let text = findings.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(redirects.is_empty(), "{rule}");
        assert!(text.len() == 1 && text[0].contains(expected), "{rule}: {text:?}");
        assert!(text[0].starts_with("_redirects:2: ") && text[0].contains("; "), "{text:?}");
        assert!(!findings[0].is_error(), "{rule}");
    }
    assert_eq!(
        said("/a /b/:splat 301"),
        ["_redirects:1: nothing in the path is called `:splat`; it is sent as it stands; \
          name a part of the path like that"]
    );
    assert_eq!(find("/a#b /c", "/a", &Ask::default(), &[]), to("/c", 301));
}

#[test]
fn a_file_past_its_bounds_is_refused_with_the_line() {
    let errors = |file: &[u8]| {
        let (redirects, findings) = Redirects::parse(file);
        let errors: Vec<_> =
            findings.iter().filter(|one| one.is_error()).map(|one| (one.line, one.code)).collect();
        (redirects.rules.len(), errors)
    };
    let rules = |count: usize, from: &str| -> String {
        (0..count).map(|number| format!("/{from}{number}/{from} /x/{number}\n")).collect()
    };
    assert_eq!(errors(rules(STATIC_RULES_MAX, "a").as_bytes()), (STATIC_RULES_MAX, vec![]));
    let limit = |line| vec![(line, Finding::LIMIT)];
    assert_eq!(errors(rules(STATIC_RULES_MAX + 5, "a").as_bytes()), (2_000, limit(2_001)));
    assert_eq!(errors(rules(DYNAMIC_RULES_MAX + 5, ":a").as_bytes()), (100, limit(101)));
    let long = format!("/a /b\n/{} /c\n/d /e", "x".repeat(2_000));
    assert_eq!(errors(long.as_bytes()), (2, limit(2)));
    let large = "# a comment\n".repeat(REDIRECTS_BYTES_MAX / 12 + 1);
    assert_eq!(errors(large.as_bytes()), (0, limit(1)));
    assert_eq!(errors(b"/a /b\n/\xff /c"), (0, vec![(2, Finding::UNREADABLE)]));
    assert_eq!(errors(b"\xef\xbb\xbf/a /b\r\n/c /d\r\n"), (2, vec![]));
}

#[test]
fn circles_are_found_and_the_idioms_are_none() {
    let circles = |rules: &str, files: &[&str]| -> Vec<u32> {
        let (redirects, _) = Redirects::parse(rules.as_bytes());
        let findings = redirects.loops(|path| files.contains(&path));
        assert!(findings.iter().all(|one| one.is_error() && one.code == Finding::LOOP), "{rules}");
        findings.iter().map(|one| one.line).collect()
    };
    for (rules, expected) in [
        ("/* /x 301", vec![1]),
        ("/* /x/:splat 301!", vec![1]),
        ("/a/* /a", vec![1]),
        ("/a /b\n/b /c\n/c /a", vec![1]),
        ("/x /a\n/a /b\n/b /a/", vec![2]),
        ("/a/* /b/:splat\n/b/* /a/:splat", vec![1]),
        ("/a /b\n/b /a\n/c /d\n/d /c", vec![1, 3]),
        ("/a id=:id /a?id=:id", vec![1]),
        ("/a?x\n/a id=1 /a?id=2\n/a id=2 /a?id=1", vec![2]),
        (
            "https://a.example/* https://b.example/:splat\nhttps://b.example/* https://a.example/:splat",
            vec![1],
        ),
        ("/a /b 302 Language=en\n/b /a 302", vec![1]),
    ] {
        assert_eq!(circles(rules, &[]), expected, "{rules}");
    }
    for rules in [
        "/* /index.html 200",
        "/a /b 200\n/b /a 200",
        "/a /b\n/b /c\n/c /d",
        "/de /en 302 Language=en\n/en /de 302 Language=de",
        "/* https://elsewhere.example/:splat 301!",
        "http://a.example/* https://a.example/:splat 301!",
        "/a/* /b/:splat\n/b/* https://a.example/b/:splat",
    ] {
        assert_eq!(circles(rules, &[]), [0; 0], "{rules}");
    }
    let findings = read("/* /en/:splat 302").loops(|_| false);
    assert!(findings.len() == 1 && !findings[0].is_error(), "{findings:?}");
    assert_eq!(read("/en/* /404.html 404\n/* /en/:splat 302").loops(|_| false), []);
    assert_eq!(circles("/* /maintenance 302", &["/maintenance"]), [0; 0]);
    assert_eq!(circles("/* /maintenance 302!", &["/maintenance"]), [1]);
    let chain: String = (0..30).map(|at| format!("/{at} /{}\n", at + 1)).collect();
    assert_eq!(circles(&chain, &[]).len(), 10, "30 redirects are more than browsers follow");
    let chain: String = (0..300).map(|at| format!("/{at} /{}\n", at + 1)).collect();
    let findings = read(&chain).loops(|_| false);
    assert_eq!(findings.len(), 101);
    assert_eq!(findings[100].message, "and 180 more like these");
    let warnings = "/a\n".repeat(200);
    let (_, findings) = Redirects::parse(format!("{warnings}{}", "x".repeat(3_000)).as_bytes());
    assert!(findings.iter().any(Finding::is_error), "an error is not lost among warnings");
}

#[test]
fn rules_that_lead_nowhere_beside_the_files_are_said() {
    let (redirects, _) =
        Redirects::parse(b"/a /b\n/a /c 301!\n/d /e.html 200\n/f /a 200\n/* /404.html 404");
    let said: Vec<_> = redirects
        .against_files(|path| path == "/a")
        .iter()
        .map(|finding| (finding.line, finding.message.clone()))
        .collect();
    let expected = [(1, "a file answers /a before this rule"), (3, "there is no file at /e.html")];
    assert_eq!(said, expected.map(|(line, text)| (line, text.to_owned())));
}

const WORDS: &str = "(/|/\\*|/:[ab]|:[ab]|/[ab]|[ab]=:?[ab]|https?://[ab]\\.x|301!?|200|404!|#|:splat|\
                     Language=en|Cookie=a|\\?|%20|%|//|\\\\|é| ){0,8}";

proptest! {
    #[test]
    fn any_file_is_read_and_any_request_is_answered(
        lines in proptest::collection::vec(WORDS, 0..6),
        path in "(/|/[ab]|/:a|\\.\\.|//|\\\\|%|é|\r|\n|\\*){0,6}",
        query in "([ab]=[ab/\\\\:%]{0,3}&?|%0d%0a|%2f%2f){0,3}",
        exists: bool,
    ) {
        let file = lines.join("\n");
        let (redirects, findings) = Redirects::parse(file.as_bytes());
        for finding in &findings {
            prop_assert!(finding.line as usize <= lines.len());
        }
        let ask = Ask { language: Some(b"en"), cookie: Some(b"a=1"), host: Some("a.x") };
        let path = format!("/{path}");
        match redirects.find(&path, &query, &ask, |_| exists) {
            Some(Outcome::Redirect { location, status }) => {
                prop_assert!((301..=308).contains(&status));
                prop_assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{}", location);
                let is_url = location.starts_with("http://") || location.starts_with("https://");
                prop_assert!(is_url || location.starts_with('/'));
                prop_assert!(!location.starts_with("//") && !location.starts_with("/\\"));
                if is_url {
                    let host = location.split('/').nth(2).unwrap_or_default();
                    prop_assert!(file.contains(host), "{} is not in the file", host);
                }
            }
            Some(Outcome::Rewrite { path, status }) => {
                prop_assert!(matches!(status, 200 | 404 | 410));
                prop_assert!(path.starts_with('/'));
            }
            None => {}
        }
        redirects.loops(|_| exists);
    }

    #[test]
    fn bytes_are_read(file in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (redirects, _) = Redirects::parse(&file);
        redirects.loops(|_| false);
        redirects.against_files(|_| false);
    }

    #[test]
    fn the_first_line_that_matches_wins(
        froms in proptest::collection::vec("(/[ab]|/:n|/x:n){1,2}(/\\*)?|/\\*", 1..12),
        path in "(/[ab]|/xa){1,3}",
    ) {
        let rules = |froms: &[String]| -> String {
            froms.iter().enumerate().map(|(at, from)| {
                // A name may not be there twice.
                let from = from.replacen(":n", ":m", 1);
                format!("{from} https://to.example/{at}\n")
            }).collect()
        };
        let all = find(&rules(&froms), &path, &Ask::default(), &[]);
        let one_by_one = froms.iter().enumerate().find_map(|(at, from)| {
            find(&rules(std::slice::from_ref(from)), &path, &Ask::default(), &[])?;
            to(&format!("https://to.example/{at}"), 301)
        });
        prop_assert_eq!(all, one_by_one);
    }
}
