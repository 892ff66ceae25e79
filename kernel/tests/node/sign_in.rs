//! Signing in and out: links, passwords, cookies, and where requests may come from.

use std::sync::Arc;
use std::time::Duration;

use fazt_sdk::http::Method;
use fazt_testkit::{Connection, ManualClock, TestKernel};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::gadget::GADGET;
use crate::support::{ADMIN, OWN_ORIGIN, ask, ask_with_key, code, link_token, sign_in};

const PASSWORD: &str = "correct horse battery";

async fn node_with_password() -> TestKernel {
    let node = TestKernel::with(vec![]).await.unwrap();
    node.kernel().set_credentials("me", PASSWORD).await.unwrap();
    node
}

async fn by_password(node: &TestKernel, password: &str) -> u16 {
    let body = format!("username=me&password={}", password.replace(' ', "+"));
    ask(node, Method::Post, "/login", &[OWN_ORIGIN], &body).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_who_use_one_link_at_once_one_gets_in() {
    let node = Arc::new(TestKernel::with(vec![]).await.unwrap());
    let body = Arc::new(format!("token={}", link_token(&node).await));
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (node, body) = (Arc::clone(&node), Arc::clone(&body));
        racers.spawn(async move {
            let answer = ask(&node, Method::Post, "/login", &[OWN_ORIGIN], &body).await;
            (answer.status, answer.header("set-cookie").is_some())
        });
    }
    let mut got_in = 0;
    while let Some(answer) = racers.join_next().await {
        match answer.unwrap() {
            (303, true) => got_in += 1,
            (status, cookie) => assert_eq!((status, cookie), (401, false)),
        }
    }
    assert_eq!(got_in, 1);
}

#[tokio::test]
async fn opening_a_link_uses_nothing_up() {
    let node = TestKernel::with(vec![]).await.unwrap();
    let token = link_token(&node).await;
    for method in [Method::Get, Method::Head, Method::Get] {
        let answer = ask(&node, method, &format!("/login?token={token}"), &[], "").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("set-cookie"), None);
    }
    let used = ask(&node, Method::Post, "/login", &[OWN_ORIGIN], &format!("token={token}")).await;
    assert_eq!(used.status, 303);
}

#[tokio::test]
async fn the_cookie_is_bound_to_its_connection() {
    let node = TestKernel::configured(vec![], vec![], &[("server.domain", "example.com")]);
    let node = node.await.unwrap();
    let host = "admin.example.com";
    for (connection, scheme, start, end) in [
        (Connection::Tls, "https", "__Host-fazt_admin=", "; Secure"),
        (Connection::Loopback, "http", "fazt_admin_=", "; Max-Age=604800"),
    ] {
        let body = format!("token={}", link_token(&node).await);
        let origin = format!("{scheme}://{host}");
        let headers = [("origin", origin.as_str())];
        let answer = node.exchange(connection, host, Method::Post, "/login", &headers, body).await;
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.starts_with(start) && cookie.ends_with(end), "{cookie}");
        assert!(cookie.contains("; Path=/; HttpOnly; SameSite=Strict; Max-Age=604800"), "{cookie}");
        assert!(!cookie.contains("Domain"), "{cookie}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("location"), Some("/"));

        let pair = cookie.split(';').next().unwrap();
        for (over, status) in [(Connection::Tls, 200), (Connection::Loopback, 200)] {
            let status = if over == connection { status } else { 401 };
            let headers = [("cookie", pair)];
            let asked = node.exchange(over, host, Method::Get, "/api/apps", &headers, "").await;
            assert_eq!(asked.status, status, "{connection:?} {over:?}");
        }
        let headers = [("cookie", pair)];
        let plain = Connection::PlainHttp;
        let asked = node.exchange(plain, host, Method::Get, "/api/apps", &headers, "").await;
        assert_eq!(asked.status, 401);
    }
}

#[tokio::test]
async fn nobody_types_a_password_into_plain_http() {
    let node = TestKernel::configured(vec![], vec![], &[("server.domain", "example.com")]);
    let node = node.await.unwrap();
    node.kernel().set_credentials("me", PASSWORD).await.unwrap();
    let ask = async |method, path: &str, body: &'static str| {
        let headers = [("origin", "http://admin.example.com")];
        let host = "admin.example.com";
        node.exchange(Connection::PlainHttp, host, method, path, &headers, body).await
    };
    for (method, path) in [(Method::Get, "/"), (Method::Get, "/login"), (Method::Post, "/login")] {
        let answer = ask(method, path, "username=me&password=correct+horse+battery").await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(!answer.text().contains("<form"), "{path}: {}", answer.text());
        assert!(answer.text().contains("ssh -L"), "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn changes_with_a_cookie_come_from_the_own_page_only() {
    let node = TestKernel::with(vec![]).await.unwrap();
    let cookie = sign_in(&node).await;
    let cookie = ("cookie", cookie.as_str());
    let refused: [&[(&str, &str)]; 8] = [
        &[],
        &[("origin", "null")],
        &[("origin", "http://blog.localhost")],
        &[("origin", "https://admin.localhost")],
        &[("origin", "http://admin.localhost.evil.example")],
        &[OWN_ORIGIN, ("origin", "http://evil.example")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "same-origin"), ("origin", "http://blog.localhost")],
    ];
    for headers in refused {
        let headers = [&[cookie], headers].concat();
        for (method, path) in [(Method::Post, "/api/keys"), (Method::Post, "/logout")] {
            let answer = ask(&node, method, path, &headers, "").await;
            assert_eq!(answer.status, 403, "{headers:?}");
            assert!(answer.text().contains("did not come from the admin page"), "{headers:?}");
        }
    }
    for own in [OWN_ORIGIN, ("sec-fetch-site", "same-origin")] {
        let body = json!({ "name": "mine" }).to_string();
        let answer = ask(&node, Method::Post, "/api/keys", &[cookie, own], &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[tokio::test]
async fn another_page_signs_nobody_in() {
    let node = TestKernel::with(vec![]).await.unwrap();
    let body = format!("token={}", link_token(&node).await);
    let foreign: [&[(&str, &str)]; 5] = [
        &[("origin", "http://evil.example")],
        &[("origin", "null")],
        &[OWN_ORIGIN, OWN_ORIGIN],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")],
    ];
    for headers in foreign {
        let answer = ask(&node, Method::Post, "/login", headers, &body).await;
        assert_eq!(answer.status, 403, "{headers:?}");
    }
    assert_eq!(ask(&node, Method::Post, "/login", &[], &body).await.status, 303);
}

/// Under `no-referrer` browsers send `Origin: null` with the page's own forms, and nobody gets in.
#[tokio::test]
async fn the_pages_let_their_own_forms_say_where_they_come_from() {
    let node = node_with_password().await;
    for path in ["/", "/login"] {
        let answer = ask(&node, Method::Get, path, &[], "").await;
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("form-action 'self'"), "{policy}");
    }
}

#[tokio::test]
async fn the_policy_allows_the_scripts_and_styles_of_the_page_and_no_others() {
    let node = node_with_password().await;
    let (mut scripts, cookie) = (0, sign_in(&node).await);
    for path in ["/login", "/"] {
        let answer = ask(&node, Method::Get, path, &[("cookie", &cookie)], "").await;
        let (policy, html) =
            (answer.header("content-security-policy").unwrap().to_owned(), answer.text());
        assert!(
            policy.starts_with("default-src 'none';") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'; base-uri 'none'"), "{policy}");
        for (open, close) in [("<script>", "</script>"), ("<style>", "</style>")] {
            for part in html.split(open).skip(1) {
                let content = part.split(close).next().unwrap();
                let hash = format!("'sha256-{}'", base64(&Sha256::digest(content)));
                assert!(policy.contains(&hash), "{path}: {content}");
                scripts += usize::from(open == "<script>");
            }
        }
        // Nothing inline that a hash does not cover.
        assert!(!html.contains(" style=") && !html.contains(" onclick="), "{path}");
    }
    assert_eq!(scripts, 1);
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let mut text: String = (0..bits.len().div_ceil(6))
        .map(|at| format!("{:0<6}", &bits[at * 6..bits.len().min(at * 6 + 6)]))
        .map(|six| char::from(DIGITS[usize::from_str_radix(&six, 2).unwrap()]))
        .collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

#[tokio::test]
async fn what_others_wrote_is_text_on_the_dashboard() {
    let node = TestKernel::with(vec![GADGET]).await.unwrap();
    node.app("blog").await.unwrap();
    let cookie = sign_in(&node).await;
    let page = ask(&node, Method::Get, "/", &[("cookie", &cookie)], "").await.text();
    assert!(page.contains("blog") && page.contains("&lt;script&gt;alert(1)"), "{page}");
    assert!(!page.contains("<script>"), "{page}");
}

#[tokio::test]
async fn two_session_cookies_are_refused() {
    let node = TestKernel::with(vec![]).await.unwrap();
    let cookie = sign_in(&node).await;
    let name = cookie.split('=').next().unwrap();
    let tossed = format!("{name}=tossed");
    for pair in [format!("{cookie}; {tossed}"), format!("{tossed}; {cookie}")] {
        let answer = ask(&node, Method::Get, "/api/apps", &[("cookie", &pair)], "").await;
        assert_eq!((answer.status, code(&answer).as_str()), (400, "COOKIE_TWICE"));
    }
    let two = [("cookie", cookie.as_str()), ("cookie", tossed.as_str())];
    assert_eq!(ask(&node, Method::Get, "/api/apps", &two, "").await.status, 400);
}

#[tokio::test]
async fn a_session_that_was_ended_is_refused() {
    let node = node_with_password().await;
    let (one, other) = (sign_in(&node).await, sign_in(&node).await);
    let status = async |cookie: &str| {
        ask(&node, Method::Get, "/api/apps", &[("cookie", cookie)], "").await.status
    };
    let out = ask(&node, Method::Post, "/logout", &[("cookie", &one), OWN_ORIGIN], "").await;
    assert_eq!(out.status, 303);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!((status(&one).await, status(&other).await), (401, 200));
    let link = link_token(&node).await;
    node.kernel().set_credentials("me", "another password").await.unwrap();
    assert_eq!(status(&other).await, 401);
    let body = format!("token={link}");
    let late = ask(&node, Method::Post, "/login", &[OWN_ORIGIN], &body).await;
    assert_eq!(late.status, 401, "a new password ends links too");
    assert_eq!(by_password(&node, PASSWORD).await, 401);
    assert_eq!(by_password(&node, "another password").await, 303);
}

#[tokio::test]
async fn keys_links_and_sessions_end_in_time() {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000));
    let node = TestKernel::timed(vec![], Arc::clone(&clock)).await.unwrap();
    let input = json!({ "name": "short", "scopes": ["read"], "expires": "1 h" });
    let made = node.operate(Method::Post, "/api/keys", input).await.unwrap();
    let key = made["key"].as_str().unwrap();
    let (cookie, token) = (sign_in(&node).await, link_token(&node).await);
    let by_key = async || ask_with_key(&node, key, Method::Get, "/api/apps", "").await.status;
    let by_cookie =
        async || ask(&node, Method::Get, "/api/apps", &[("cookie", &cookie)], "").await.status;
    assert_eq!((by_key().await, by_cookie().await), (200, 200));
    clock.advance(Duration::from_secs(16 * 60));
    let body = format!("token={token}");
    let link = ask(&node, Method::Post, "/login", &[OWN_ORIGIN], &body).await;
    assert_eq!(link.status, 401);
    clock.advance(Duration::from_secs(3600));
    assert_eq!((by_key().await, by_cookie().await), (401, 200));
    clock.advance(Duration::from_secs(7 * 24 * 3600));
    assert_eq!(by_cookie().await, 401);
}

#[tokio::test]
async fn after_ten_wrong_passwords_a_link_still_lets_the_owner_in() {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000));
    let node = TestKernel::timed(vec![], Arc::clone(&clock)).await.unwrap();
    node.kernel().set_credentials("me", PASSWORD).await.unwrap();
    for _ in 0..10 {
        assert_eq!(by_password(&node, "wrong password").await, 401);
    }
    assert_eq!(by_password(&node, PASSWORD).await, 503);
    sign_in(&node).await;
    clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(by_password(&node, PASSWORD).await, 303);
}

#[tokio::test]
async fn the_owner_is_never_kept_out_by_open_sessions() {
    let node = TestKernel::with(vec![]).await.unwrap();
    let first = sign_in(&node).await;
    for _ in 0..256 {
        sign_in(&node).await;
    }
    let newest = sign_in(&node).await;
    let status = async |cookie: &str| {
        ask(&node, Method::Get, "/api/apps", &[("cookie", cookie)], "").await.status
    };
    assert_eq!((status(&first).await, status(&newest).await), (401, 200));
}

#[tokio::test]
async fn what_signs_in_survives_a_restart() {
    let mut node = node_with_password().await;
    let input = json!({ "name": "ci", "scopes": ["read"] });
    let made = node.operate(Method::Post, "/api/keys", input).await.unwrap();
    let key = made["key"].as_str().unwrap().to_owned();
    let (cookie, gone) = (sign_in(&node).await, sign_in(&node).await);
    ask(&node, Method::Post, "/logout", &[("cookie", &gone), OWN_ORIGIN], "").await;
    node.restart().await.unwrap();
    let with = async |cookie: &str| {
        ask(&node, Method::Get, "/api/apps", &[("cookie", cookie)], "").await.status
    };
    assert_eq!((with(&cookie).await, with(&gone).await), (200, 401));
    assert_eq!(ask_with_key(&node, &key, Method::Get, "/api/apps", "").await.status, 200);
    assert_eq!(by_password(&node, PASSWORD).await, 303);
}

#[tokio::test]
async fn forms_that_cannot_be_read_are_refused() {
    let node = node_with_password().await;
    for (body, status) in [
        ("username=%zz", 400),
        ("token=%ff", 400),
        ("", 401),
        ("username=me", 401),
        (&*"a".repeat(9 * 1024), 413),
    ] {
        let answer = node.exchange(
            Connection::Loopback,
            ADMIN,
            Method::Post,
            "/login",
            &[],
            body.to_owned(),
        );
        assert_eq!(answer.await.status, status, "{}", &body[..body.len().min(20)]);
    }
}

/// What read or set the owner's cookie is kept by nobody in between.
#[tokio::test]
async fn no_cache_keeps_what_read_or_set_a_cookie() {
    let node = TestKernel::with(vec![]).await.unwrap();
    let body = format!("token={}", link_token(&node).await);
    let set = ask(&node, Method::Post, "/login", &[OWN_ORIGIN], &body).await;
    assert!(set.header("set-cookie").is_some());
    let cookie = set.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let mut answers = vec![("POST /login", set)];
    for path in ["/", "/api/apps", "/api/none", "/login"] {
        answers.push((path, ask(&node, Method::Get, path, &[("cookie", &cookie)], "").await));
    }
    let end = [("cookie", cookie.as_str()), OWN_ORIGIN];
    answers.push(("POST /logout", ask(&node, Method::Post, "/logout", &end, "").await));
    for (what, answer) in answers {
        let cache = answer.header("cache-control").unwrap_or_default();
        assert!(cache.contains("no-store") || cache.contains("private"), "{what}: {cache}");
    }
}
