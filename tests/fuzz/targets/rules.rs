//! No `_redirects` or `_headers` makes anything panic, and nothing they say breaks a header.
#![no_main]

use fazt_hosting::rules::{Ask, Headers, Outcome, Redirects, lint};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, &str, &str)| {
    let (redirects, headers, path, query) = input;
    let _: Vec<_> = lint(Some(redirects.as_bytes()), Some(headers.as_bytes()));
    let path = format!("/{path}");
    let (rules, _) = Redirects::parse(redirects.as_bytes());
    if let Some(Outcome::Redirect { location, status }) =
        rules.find(&path, query, &Ask::default(), |_| false)
    {
        assert!(matches!(status, 301 | 302 | 303 | 307 | 308));
        assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{location}");
    }
    let (rules, _) = Headers::parse(headers.as_bytes());
    let selection = rules.select(&path, Some("example.com"), None);
    for (name, value) in rules.fields(selection, &path, Some("example.com")).set {
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(!value.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{value}");
    }
});
