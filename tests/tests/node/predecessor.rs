//! What users of the older console, the one before this program, rely on, in the order of the list that
//! was made of it (rows 1 to 24). Where the design decided otherwise, the test says so.
//!
//! | Row | Also stands in |
//! |---|---|
//! | 2 | `bad_input::keys_open_what_they_are_for_and_nothing_else` |
//! | 5 | `bad_input::hostile_archives_are_refused_by_name_and_leave_nothing` |
//! | 6 | `replacing::fifty_deploys_under_fifty_readers_are_seen_whole_and_in_order`, `broken_uploads` |
//! | 12 | `a_single_page_app_answers_routes_and_nothing_else` of the plugin |
//! | 15 | `swapping::apps_whose_names_and_paths_run_together_never_share_a_cached_answer` |
//! | 16, 17 | `names_and_paths::no_spelling_of_a_path_reaches_what_is_not_public` |
//! | 18, 19 | `names_and_paths::no_host_and_no_address_makes_anybody_the_owner`, the kernel's `authorization` |
//! | 21 | the kernel's `hosts::aliases_answer_by_their_kind` |
//! | 24 | `names_and_paths::every_way_in_refuses_the_same_names_and_makes_nothing` |

use fazt_tests::{Answer, Home, Node, Request, archive};
use serde_json::{Value, json};

/// A deploy as scripts send it: a form with a key.
fn form(site: &str, file: &str, content: &[u8], more: &str) -> Request {
    let part = "--older\r\nContent-Disposition: form-data; name=";
    let site = match site {
        "" => String::new(),
        site => format!("{part}\"site_name\"\r\n\r\n{site}\r\n"),
    };
    let head = format!(
        "{site}{more}{part}\"file\"; filename=\"{file}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let body = [head.as_bytes(), content, b"\r\n--older--\r\n"].concat();
    Request::admin("POST", "/api/deploy").body("multipart/form-data; boundary=older", body)
}

fn six_files() -> Vec<(&'static str, &'static str)> {
    vec![
        ("index.html", "<!doctype html><body>home</body>"),
        ("about/index.html", "<p>about"),
        ("style.css", "p{}"),
        ("assets/main-abc123.js", "1"),
        ("private/x", "private canary"),
        ("old.txt", "old"),
    ]
}

fn node_with_blog(home: &Home) -> (Node, String) {
    let node = home.start();
    let key = node.key(&["read", "deploy"], None);
    let deployed = node.send(&form("blog", "site.zip", &archive(&six_files()), "").key(&key));
    assert_eq!(deployed.status, 200, "{}", deployed.text());
    (node, key)
}

fn blog(node: &Node, path: &str) -> Answer {
    node.get("blog.localhost", path)
}

/// An admin operation of the owner that has to succeed.
fn operate(node: &Node, method: &str, path: &str, input: &Value) -> Value {
    let request = Request::admin(method, path);
    let request = if input.is_null() { request } else { request.json(input) };
    let answer = node.ask(&request);
    assert!(answer.is_success(), "{method} {path}: {}", answer.text());
    answer.json()["data"].clone()
}

#[test]
fn row_1_a_deploy_answers_in_the_known_words() {
    let home = Home::new();
    let node = home.start();
    let key = node.key(&["deploy"], None);
    let answer = node.send(&form("blog", "site.zip", &archive(&six_files()), "").key(&key));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let data = &answer.json()["data"];
    let size: usize = six_files().iter().map(|(_, content)| content.len()).sum();
    assert_eq!(data["site"], "blog");
    assert_eq!((&data["file_count"], &data["size_bytes"]), (&json!(6), &json!(size)));
    assert_eq!(data["message"], "Deployment successful");
    let id = data["app_id"].as_str().unwrap();
    let tail = id.strip_prefix("fazt_app_").unwrap();
    assert!(tail.len() == 12 && tail.bytes().all(|it| it.is_ascii_alphanumeric()), "{id}");
    let alias = operate(&node, "GET", "/api/aliases/blog", &json!(null));
    assert_eq!((&alias["kind"], &alias["apps"][0]["id"]), (&json!("app"), &json!(id)));
    assert!(node.stop().success());
}

#[test]
fn row_2_a_deploy_without_what_it_needs_is_refused() {
    let home = Home::new();
    let (node, key) = node_with_blog(&home);
    let zip = archive(&[("index.html", "new")]);
    let whole = form("blog", "site.zip", &zip, "");
    let basic = whole.clone().field("authorization", "Basic x");
    let wrong = whole.clone().key(&format!("{}x", &key[..key.len() - 1]));
    let no_key = node.send(&whole);
    assert_eq!((no_key.status, &*no_key.code()), (401, "UNAUTHORIZED"));
    assert_eq!(node.send(&basic).status, 401);
    let wrong = node.send(&wrong);
    assert_eq!((wrong.status, &*wrong.code()), (401, "INVALID_API_KEY"));
    for (what, request) in [
        ("no name", form("", "site.zip", &zip, "")),
        ("no archive", form("blog", "x.txt", b"only text", "")),
        ("a broken archive", form("blog", "site.zip", &zip[..zip.len() / 2], "")),
    ] {
        let answer = node.send(&request.key(&key));
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
    }
    assert!(blog(&node, "/").text().contains("home"));
    assert!(node.stop().success());
}

/// The design wins: who may deploy may do so as often as needed. What bounds deploys is how many run at
/// once, how large they are, and how many are kept.
#[test]
fn row_3_the_sixth_deploy_within_a_minute_is_as_good_as_the_first() {
    let home = Home::new();
    let (node, key) = node_with_blog(&home);
    for number in 0..10 {
        let zip = archive(&[("index.html", format!("{number}"))]);
        assert_eq!(node.send(&form("blog", "site.zip", &zip, "").key(&key)).status, 200);
        assert_eq!(blog(&node, "/").text(), number.to_string());
    }
    assert!(node.stop().success());
}

#[test]
fn row_4_a_whole_host_stands_for_its_label() {
    let home = Home::new();
    let (node, key) = node_with_blog(&home);
    for said in ["blog.localhost", "Blog.LocalHost"] {
        let zip = archive(&[("index.html", said)]);
        let answer = node.send(&form(said, "site.zip", &zip, "").key(&key));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["data"]["site"], "blog");
        assert_eq!(blog(&node, "/").text(), said);
    }
    let fresh = form("fresh.localhost", "site.zip", &archive(&[("index.html", "new")]), "");
    assert_eq!(node.send(&fresh.key(&key)).json()["data"]["site"], "fresh");
    assert_eq!(node.get("fresh.localhost", "/").text(), "new");
    assert_eq!(operate(&node, "GET", "/api/apps", &json!(null)).as_array().unwrap().len(), 2);
    assert!(node.stop().success());
}

/// The design wins: an archive that holds such a name is refused whole, with the name.
#[test]
fn row_5_names_that_lead_out_refuse_the_archive() {
    let home = Home::new();
    let (node, key) = node_with_blog(&home);
    for name in ["../x", "/etc/x", "a\\b"] {
        let zip = archive(&[("index.html", "new"), (name, "evil")]);
        let answer = node.send(&form("blog", "site.zip", &zip, "").key(&key));
        assert_eq!((answer.status, &*answer.code()), (400, "PATH_NOT_CANONICAL"), "{name}");
    }
    assert!(blog(&node, "/").text().contains("home"));
    assert!(node.stop().success());
}

#[test]
fn row_6_what_the_next_deploy_leaves_out_is_gone_and_a_failed_one_changes_nothing() {
    let home = Home::new();
    let (node, key) = node_with_blog(&home);
    assert_eq!(blog(&node, "/old.txt").text(), "old");
    let good = archive(&[("index.html", "new")]);
    for bad in [&good[..good.len() - 4], b"no archive"] {
        assert_eq!(node.send(&form("blog", "site.zip", bad, "").key(&key)).status, 400);
        assert_eq!(blog(&node, "/old.txt").text(), "old");
    }
    assert_eq!(node.send(&form("blog", "site.zip", &good, "").key(&key)).status, 200);
    assert_eq!((blog(&node, "/").text(), blog(&node, "/old.txt").status), ("new".to_owned(), 404));
    assert!(node.stop().success());
}

/// Rows 7 to 9. `no-cache` says what `must-revalidate` added to it (RFC 9111 §5.2.2.4).
#[test]
fn rows_7_to_9_pages_are_asked_about_and_the_rest_is_kept() {
    let home = Home::new();
    let (node, _) = node_with_blog(&home);
    let page = blog(&node, "/");
    assert_eq!(page.status, 200);
    assert!(page.field("content-type").unwrap().starts_with("text/html"));
    assert!(page.field("cache-control").unwrap().contains("no-cache"));
    let tag = page.field("etag").unwrap();
    let again = Request::get("blog.localhost", "/").field("if-none-match", tag);
    let again = node.send(&again);
    assert_eq!((again.status, again.body.len()), (304, 0));
    let kept = |path: &str| blog(&node, path).field("cache-control").unwrap().to_owned();
    assert!(kept("/style.css").contains("max-age=300"));
    assert_eq!(kept("/assets/main-abc123.js"), "public, max-age=31536000, immutable");
    assert!(node.stop().success());
}

#[test]
fn rows_10_and_11_a_folder_answers_without_its_slash_and_redirects_stay_here() {
    let home = Home::new();
    let (node, _) = node_with_blog(&home);
    let about = blog(&node, "/about");
    assert_eq!((about.status, &*about.text()), (200, "<p>about"));
    assert_eq!(about.field("cache-control"), Some("no-cache"), "a page like any other");
    let slash = blog(&node, "/about/?x=1");
    assert_eq!((slash.status, slash.field("location")), (301, Some("/about?x=1")));
    for path in ["//evil.com/", "//evil.com", "/\\evil.com/", "/%2f/evil.com/", "/%5cevil.com/"] {
        let Ok(answer) = node.client().send(&Request::get("blog.localhost", path)) else {
            continue;
        };
        assert_eq!((answer.status, answer.field("location")), (400, None), "{path}");
    }
    assert!(node.stop().success());
}

#[test]
fn rows_12_and_13_routes_lead_to_the_page_of_a_single_page_app_only() {
    let home = Home::new();
    let (node, key) = node_with_blog(&home);
    let spa = "--older\r\nContent-Disposition: form-data; name=\"spa\"\r\n\r\ntrue\r\n";
    let zip = archive(&[("index.html", "app")]);
    assert_eq!(node.send(&form("spa", "site.zip", &zip, spa).key(&key)).status, 200);
    for path in ["/dashboard", "/settings/profile"] {
        let route = node.get("spa.localhost", path);
        assert_eq!((route.status, &*route.text()), (200, "app"), "{path}");
        assert_eq!(blog(&node, path).status, 404, "{path}");
    }
    assert_eq!(node.get("spa.localhost", "/missing.js").status, 404);
    assert_eq!(blog(&node, "/missing").status, 404);
    assert!(node.stop().success());
}

/// Nothing counts visits yet, and pages are sent as they were deployed, with the tag of what is sent.
/// A plugin that adds its script to them changes this test.
#[test]
fn row_14_pages_are_sent_as_they_were_deployed() {
    let home = Home::new();
    let node = home.start();
    let page = "<!doctype html><body>one</body><body>two</body>";
    let off = r#"{"name": "off", "analytics": {"enabled": false}}"#;
    assert_eq!(node.deploy("on", &[("index.html", page)]).status, 200);
    assert_eq!(node.deploy("off", &[("index.html", page), ("manifest.json", off)]).status, 200);
    assert_eq!(node.deploy("bare", &[("index.html", "no body")]).status, 200);
    for (host, expected) in [("on", page), ("off", page), ("bare", "no body")] {
        assert_eq!(node.get(&format!("{host}.localhost"), "/").text(), expected, "{host}");
    }
    assert!(node.stop().success());
}

#[test]
fn row_15_sites_never_serve_each_others_files() {
    let home = Home::new();
    let node = home.start();
    for app in ["alpha", "beta"] {
        let own = format!("{app}.txt");
        assert_eq!(node.deploy(app, &[("index.html", app), (&own, app)]).status, 200);
    }
    for (app, other) in [("alpha", "beta"), ("beta", "alpha")] {
        let host = format!("{app}.localhost");
        assert_eq!(node.get(&host, "/").text(), app);
        assert_eq!(node.get(&host, &format!("/{app}.txt")).text(), app);
        assert_eq!(node.get(&host, &format!("/{other}.txt")).status, 404);
    }
    assert!(node.stop().success());
}

/// There are no sessions of apps yet, so that nobody is signed in; the owner's key opens no app either.
#[test]
fn rows_16_and_17_private_files_and_server_code_have_no_second_spelling() {
    let home = Home::new();
    let (node, key) = node_with_blog(&home);
    let source = "/* source canary */ respond(404)";
    let code = archive(&[("index.html", "x"), ("api/main.js", source)]);
    assert_eq!(node.send(&form("code", "site.zip", &code, "").key(&key)).status, 200);
    assert_eq!(blog(&node, "/private/x").status, 401);
    let with_key = Request::get("blog.localhost", "/private/x").key(&key);
    assert_eq!(node.send(&with_key).status, 401);
    assert_eq!(node.get("code.localhost", "/api/x").status, 404);
    assert_eq!(node.get("code.localhost", "/api/main.js").status, 404);
    for (host, path) in [
        ("blog", "//private/x"),
        ("blog", "/a/../private/x"),
        ("blog", "/%2e/private/x"),
        ("code", "//api/main.js"),
        ("code", "/./api/main.js"),
        ("code", "/a/%2e%2e/api/main.js"),
    ] {
        let answer = node.get(&format!("{host}.localhost"), path);
        assert!(matches!(answer.status, 400 | 401 | 404), "{host}{path}: {}", answer.status);
        assert!(!answer.text().contains("canary"), "{host}{path}");
    }
    assert!(node.stop().success());
}

/// Signs in with a link, as the owner does; the cookie as a browser sends it back.
fn owner(node: &Node) -> String {
    let link = operate(node, "POST", "/api/login-link", &json!(null));
    let token = link["url"].as_str().unwrap().split_once('#').unwrap().1.to_owned();
    let origin = format!("http://admin.localhost:{}", node.port());
    let login = Request::admin("POST", "/login").field("origin", &origin);
    let form = "application/x-www-form-urlencoded";
    let answer = node.send(&login.body(form, format!("token={token}")));
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.field("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

/// The settings have another address than in the older console. There are no users beside the owner
/// yet: any other cookie is nobody's.
#[test]
fn rows_18_and_19_settings_are_the_owners_on_the_admin_host_alone() {
    let home = Home::new();
    let (node, _) = node_with_blog(&home);
    let cookie = owner(&node);
    let deployer = node.key(&["deploy"], None);
    let settings = |host: &str| Request::get(host, "/api/settings");
    let admin = "admin.localhost";
    assert_eq!(node.send(&settings(admin).field("cookie", &cookie)).status, 200);
    assert_eq!(node.send(&settings(admin)).status, 401);
    assert_eq!(node.send(&settings(admin).field("cookie", "fazt_session=x")).status, 401);
    assert_eq!(node.send(&settings(admin).key(&deployer)).status, 403, "the scope decides");
    // The older console let any session in here.
    for host in ["localhost", "127.0.0.1", "blog.localhost", "root.localhost"] {
        for request in [settings(host), settings(host).field("cookie", &cookie)] {
            assert_eq!(node.send(&request).status, 404, "{host}");
        }
    }
    assert!(node.stop().success());
}

#[test]
fn row_20_names_are_not_moved_without_credentials() {
    let home = Home::new();
    let (node, _) = node_with_blog(&home);
    assert_eq!(node.deploy("shop", &[("index.html", "shop")]).status, 200);
    let swap = json!({"alias1": "blog", "alias2": "shop"});
    for request in [
        Request::admin("POST", "/api/aliases").json(&json!({"name": "new", "app": "blog"})),
        Request::admin("PUT", "/api/aliases/new").json(&json!({"app": "blog"})),
        Request::admin("DELETE", "/api/aliases/blog"),
        Request::admin("POST", "/api/aliases/swap").json(&swap),
        Request::admin("POST", "/api/aliases/new/reserve"),
        Request::admin("DELETE", "/api/apps/blog"),
    ] {
        assert_eq!(node.send(&request).status, 401, "{}", request.line());
    }
    assert_eq!(node.get("shop.localhost", "/").text(), "shop");
    assert!(blog(&node, "/").text().contains("home"));
    assert_eq!(node.get("new.localhost", "/").status, 404);
    assert!(node.stop().success());
}

#[test]
fn rows_21_and_22_hosts_lead_where_they_led() {
    let home = Home::new();
    let (node, _) = node_with_blog(&home);
    operate(&node, "POST", "/api/aliases/kept/reserve", &json!(null));
    let url = "https://example.org/new";
    operate(&node, "POST", "/api/aliases", &json!({"name": "moved", "redirect": url}));
    for host in ["kept.localhost", "unknown.localhost", "a.blog.localhost", "blog.localhost.evil"] {
        assert_eq!(node.get(host, "/").status, 404, "{host}");
    }
    let moved = node.get("moved.localhost", "/");
    assert_eq!((moved.status, moved.field("location")), (301, Some(url)));
    let home_page = blog(&node, "/").text();
    for host in ["blog.localhost", "BLOG.localhost", "Blog.LOCALHOST", "blog.localhost."] {
        // The client adds the port.
        assert_eq!(node.get(host, "/").text(), home_page, "{host}");
    }
    let mut client = node.client();
    client.write(b"GET / HTTP/1.1\r\nhost: blog.localhost:8080\r\n\r\n").unwrap();
    assert_eq!(client.answer().unwrap().text(), home_page);
    assert!(node.stop().success());
}

/// The design wins: no address of a client gives it anything, so that there is no such path at all. The
/// older console believed whatever proxy stood before it.
#[test]
fn row_23_apps_are_reached_by_their_hosts_only() {
    let home = Home::new();
    let (node, _) = node_with_blog(&home);
    let apps = operate(&node, "GET", "/api/apps", &json!(null));
    let id = apps[0]["id"].as_str().unwrap();
    for host in ["localhost", "127.0.0.1", "root.localhost", "blog.localhost", "admin.localhost"] {
        for path in
            ["/_app/blog/".to_owned(), format!("/_app/{id}/"), format!("/_app/{id}/old.txt")]
        {
            for forwarded in ["127.0.0.1", "10.1.2.3", "192.168.1.1", "8.8.8.8"] {
                let request = Request::get(host, &*path).field("x-forwarded-for", forwarded);
                let answer = node.send(&request);
                assert_eq!(answer.status, 404, "{host}{path}");
                assert!(!answer.text().contains("home"), "{host}{path}");
            }
        }
    }
    assert!(node.stop().success());
}

#[test]
fn row_24_the_same_names_are_taken_and_refused() {
    let home = Home::new();
    let (node, key) = node_with_blog(&home);
    let deploy = |name: &str| {
        let zip = archive(&[("index.html", name)]);
        node.send(&form(name, "site.zip", &zip, "").key(&key))
    };
    for name in ["mysite", "site123", "my-site", "my--site", "MySite", &"a".repeat(63)] {
        let answer = deploy(name);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let host = format!("{}.localhost", name.to_ascii_lowercase());
        assert_eq!(node.get(&host, "/").text(), name);
        assert_eq!(answer.json()["data"]["site"], name.to_ascii_lowercase());
    }
    for name in [
        "",
        "-a",
        "a-",
        "my_site",
        "my.site",
        "my site",
        "my@site",
        &"a".repeat(64),
        "www",
        "api",
        "mail",
    ] {
        assert_eq!(deploy(name).status, 400, "{name}");
    }
    assert!(node.stop().success());
}
