//! Hosts that give nobody power, and paths with a second spelling.

use fazt_tests::{Answer, Client, Home, Node, Request, archive, hex};
use serde_json::{Value, json};

const CANARY: &str = "canary-5d1c";
/// Server code that knows the word and answers nothing.
const CODE: &str =
    "/* canary-5d1c */ export default { fetch: () => new Response('none', { status: 404 }) };";

fn node(home: &Home) -> Node {
    let node = home.start();
    let site = [
        ("index.html", "public"),
        ("sub/index.html", "public"),
        ("private/k", CANARY),
        ("private/index.html", CANARY),
        ("api/main.js", CODE),
        (".env", CANARY),
        (".git/config", CANARY),
        ("sub/.hidden", CANARY),
    ];
    assert_eq!(node.deploy("app", &site).status, 200);
    let spa = Request::deploy("spa&spa=true", archive(&site));
    assert_eq!(node.ask(&spa).status, 200);
    node
}

/// The answer to a request line sent as it is; none when the connection closes without one.
fn raw(node: &Node, host: &str, target: &[u8]) -> Option<Answer> {
    let mut client = node.client();
    client.send(&Request::get(host, target)).ok()
}

#[test]
fn an_unknown_host_gets_one_constant_page_that_repeats_nothing() {
    let home = Home::new();
    let node = node(&home);
    let first = node.get("unknown.localhost", "/");
    assert_eq!(first.status, 404);
    for (host, path) in [
        ("marker-7f.localhost", "/"),
        ("marker-7f.example.org", "/marker-7f?marker-7f=1"),
        ("localhost.marker-7f.org", "/api/apps"),
        ("admin.localhost.marker-7f.org", "/api/apps"),
        ("xadmin.localhost", "/api/apps"),
        ("admin.app.localhost", "/"),
    ] {
        let request = Request::get(host, path).field("referer", "http://marker-7f/");
        let answer = node.send(&request);
        assert_eq!((answer.status, &answer.body), (404, &first.body), "{host}");
        let fields = format!("{:?}", answer.fields);
        assert!(!fields.contains("marker-7f") && answer.field("set-cookie").is_none(), "{fields}");
    }
    for host in [
        "<script>alert(1)</script>",
        "a b",
        "app.localhost/x",
        "app.localhost@evil",
        "é.localhost",
        "",
    ] {
        let answer = raw(&node, host, b"/");
        let Some(answer) = answer else { continue };
        assert_eq!(answer.status, 400, "{host}: {}", answer.text());
        assert!(!answer.text().contains("script"), "{}", answer.text());
    }
    assert!(node.stop().success());
}

#[test]
fn no_host_and_no_address_makes_anybody_the_owner() {
    let home = Home::new();
    let node = node(&home);
    let key = node.key(&["read", "deploy", "admin"], None);
    let hosts = [
        "localhost",
        "127.0.0.1",
        "[::1]",
        "root.localhost",
        "app.localhost",
        "0.0.0.0",
        "LOCALHOST.",
        "node.local",
        "10.0.0.1.nip.io",
    ];
    for host in hosts {
        for path in
            ["/api/apps", "/api/keys", "/api/settings", "/api/system/backup", "/api/system/info"]
        {
            let answer = node.get(host, path);
            assert!(matches!(answer.status, 401 | 404), "{host}{path}: {}", answer.status);
            // Not even with a key: the admin API is on the admin host.
            let answer = node.send(&Request::get(host, path).key(&key));
            assert!(
                matches!(answer.status, 401 | 404),
                "{host}{path} with a key: {}",
                answer.status
            );
        }
        let deploy = Request::new("POST", host, "/api/deploy?site_name=app");
        let deploy = deploy.body("application/zip", archive(&[("index.html", "taken")]));
        assert!(!node.send(&deploy).is_success(), "{host}");
        assert!(!node.send(&deploy.key(&key)).is_success(), "{host} with a key");
    }
    for path in ["/api/apps", "/api/keys", "/api/settings", "/api/system/backup"] {
        for forged in
            ["x-forwarded-for", "x-real-ip", "forwarded", "x-forwarded-host", "x-fazt-user"]
        {
            let request = Request::admin("GET", path).field(forged, "127.0.0.1");
            assert_eq!(node.send(&request).status, 401, "{path} with {forged}");
        }
    }
    for path in ["/auth/dev/login", "/auth/dev/callback?role=owner", "/_fazt/dev", "/debug/pprof/"]
    {
        for host in ["localhost", "admin.localhost", "app.localhost"] {
            for method in ["GET", "POST"] {
                let answer = node.send(&Request::new(method, host, path));
                assert!(
                    !answer.is_success() || answer.field("set-cookie").is_none(),
                    "{host}{path}"
                );
                assert!(answer.field("set-cookie").is_none(), "{host}{path}");
            }
        }
    }
    assert_eq!(node.get("app.localhost", "/").text(), "public");
    assert!(node.stop().success());
}

#[test]
fn no_spelling_of_a_path_reaches_what_is_not_public() {
    let home = Home::new();
    let node = node(&home);
    let malformed: [&[u8]; 24] = [
        b"/x/../private/k",
        b"/./private/k",
        b"//private/k",
        b"/private//k",
        b"/private/./k",
        b"/%2e%2e/private/k",
        b"/%2e%2e/",
        b"/%2E/private/k",
        b"/sub/%2e%2e/private/k",
        b"/private%2fk",
        b"/private%2Fk",
        b"/private%5ck",
        b"/private\\k",
        b"/..\\private\\k",
        b"/private/k%00",
        b"/private/k%00.html",
        b"/%00",
        b"/private/k%0d%0aset-cookie:x",
        b"/private/k%ff",
        b"/%c0%ae%c0%ae/private/k",
        b"/%c0%af",
        b"/%zz",
        b"/private/k%",
        b"/private/\xff",
    ];
    let hidden: [&[u8]; 20] = [
        b"/private/k",
        b"/private/",
        b"/private",
        b"/%70rivate/k",
        b"/%70%72%69vate/%6b",
        b"/private/k?x=1",
        b"/private/k/",
        b"/api/main.js",
        b"/%61pi/main.js",
        b"/.env",
        b"/%2eenv",
        b"/.git/config",
        b"/%2egit/config",
        b"/sub/.hidden",
        b"/sub/%2ehidden",
        b"/private/k;x",
        b"/private/k%20",
        b"/PRIVATE/k",
        b"/private/K",
        b"/api/",
    ];
    for host in ["app.localhost", "spa.localhost"] {
        for (targets, allowed) in
            [(&malformed[..], &[400][..]), (&hidden[..], &[301, 308, 400, 401, 403, 404][..])]
        {
            for target in targets {
                let shown = String::from_utf8_lossy(target);
                let Some(answer) = raw(&node, host, target) else { continue };
                assert!(!answer.text().contains(CANARY), "{host}{shown}");
                let is_index = host.starts_with("spa") && answer.text() == "public";
                assert!(
                    allowed.contains(&answer.status) || is_index && answer.status == 200,
                    "{host}{shown}: {} {}",
                    answer.status,
                    answer.text()
                );
                assert!(answer.field("set-cookie").is_none(), "{host}{shown}");
            }
        }
    }
    // An absolute target: the authority in it counts, and the two have to agree or be refused.
    let mut client = node.client();
    client
        .write(b"GET http://app.localhost/private/k HTTP/1.1\r\nhost: app.localhost\r\n\r\n")
        .unwrap();
    assert!(!client.answer().unwrap().text().contains(CANARY));
    let mut client = Client::connect(node.port()).unwrap();
    client.write(b"GET /private/k HTTP/1.0\r\n\r\n").unwrap();
    assert!(!client.answer().is_ok_and(|answer| answer.text().contains(CANARY)));
    assert_eq!(node.get("app.localhost", "/sub").text(), "public", "and the rest is served");
    assert!(node.stop().success());
}

/// Every way in which a name reaches the node, asked with `name`: which way, the status, the code.
fn verdicts(home: &Home, node: &Node, name: &str) -> Vec<(String, u16, String)> {
    let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let post = |path: &str, input: Value| Request::admin("POST", path).json(&input);
    let page = b"named";
    let list = json!({"files": [{"path": "index.html", "sha256": hex(page), "size": page.len()}]});
    let alias = json!({"name": name, "redirect": "https://example.org/"});
    let split = json!({"targets": ["app:50", "spa:50"]});
    let encoded_alias = |rest: &str| format!("/api/aliases/{encoded}{rest}");
    let boundary = "--x\r\ncontent-disposition: form-data; name=";
    let form = [
        format!("{boundary}site_name\r\n\r\n{name}\r\n").into_bytes(),
        format!("{boundary}file; filename=a.zip\r\n\r\n").into_bytes(),
        archive(&[("index.html", page)]),
        b"\r\n--x--\r\n".to_vec(),
    ];
    let form = Request::admin("POST", "/api/deploy")
        .body("multipart/form-data; boundary=x", form.concat());
    let mut ways = vec![
        ("deploy of a list", post(&format!("/api/apps/{encoded}/deployments"), list)),
        ("deploy of an archive", Request::deploy(&encoded, archive(&[("index.html", page)]))),
        ("deploy of a form", form),
        ("app create", post("/api/apps", json!({ "name": name }))),
        ("app fork", post("/api/apps/app/fork", json!({ "as": name }))),
        ("alias add", post("/api/aliases", alias)),
    ];
    if !name.is_empty() {
        ways.extend([
            ("app link", Request::admin("PUT", &encoded_alias("")).json(&json!({"app": "app"}))),
            ("app reserve", Request::admin("POST", &encoded_alias("/reserve"))),
            ("app split", post(&encoded_alias("/split"), split)),
        ]);
    }
    // Without a name there is no such address.
    ways.retain(|(way, _)| !name.is_empty() || *way != "deploy of a list");
    let mut verdicts: Vec<_> = ways
        .into_iter()
        .map(|(way, request)| {
            let answer = node.ask(&request);
            (way.to_owned(), answer.status, answer.code())
        })
        .collect();
    // The program asks the same node; a few names show that it keeps no list of its own.
    if ["-a", "my_site", "ADMIN"].contains(&name) {
        std::fs::create_dir_all(home.path("site")).unwrap();
        std::fs::write(home.path("site/index.html"), page).unwrap();
        for words in [
            format!("app deploy site --name={name} --format json"),
            format!("app create --format json -- {name}"),
        ] {
            let said = home.fazt(&words);
            let status = if said.code == Some(2) { 400 } else { 0 };
            let codes = ["BAD_NAME", "RESERVED_NAME"];
            let code = codes.into_iter().find(|code| said.err.contains(code));
            let code = code.or(match &said.err {
                err if err.contains("cannot be a name") => Some("BAD_NAME"),
                err if err.contains("the node keeps the name") => Some("RESERVED_NAME"),
                _ => None,
            });
            let code = code.map_or_else(|| said.err.clone() + &said.out, str::to_owned);
            verdicts.push((format!("fazt {words}"), status, code));
        }
    }
    verdicts
}

/// A name that cannot be is refused by whoever is asked, before anything is sent or made.
#[test]
fn every_way_in_refuses_the_same_names_and_makes_nothing() {
    let home = Home::new();
    let node = node(&home);
    let long = "a".repeat(64);
    let apps = || node.ask(&Request::admin("GET", "/api/apps")).json()["data"].clone();
    let aliases = || node.ask(&Request::admin("GET", "/api/aliases")).json()["data"].clone();
    let before = (apps(), aliases());
    let mut wrong = Vec::new();
    for (name, code) in [
        ("-a", "BAD_NAME"),
        ("a-", "BAD_NAME"),
        ("my_site", "BAD_NAME"),
        ("my.site", "BAD_NAME"),
        ("my site", "BAD_NAME"),
        ("my@site", "BAD_NAME"),
        ("b\u{fc}cher", "BAD_NAME"),
        ("xn--bcher-kva", "BAD_NAME"),
        ("app.localhost.localhost", "BAD_NAME"),
        ("<b>", "BAD_NAME"),
        (&long, "BAD_NAME"),
        ("admin", "RESERVED_NAME"),
        ("ADMIN", "RESERVED_NAME"),
        ("root", "RESERVED_NAME"),
        ("localhost", "RESERVED_NAME"),
        ("admin.localhost", "RESERVED_NAME"),
    ] {
        for (way, status, said) in verdicts(&home, &node, name) {
            if (status, &*said) != (400, code) {
                wrong.push(format!("{way} of `{name}`: {status} {said}"));
            }
        }
    }
    // What is a name of an alias, but of no app.
    for name in ["www", "api", "mail", "Smtp"] {
        for (way, status, said) in verdicts(&home, &node, name) {
            let is_of_an_alias = ["app link", "app reserve", "app split", "alias add"];
            if !is_of_an_alias.contains(&&*way) && (status, &*said) != (400, "RESERVED_NAME") {
                wrong.push(format!("{way} of `{name}`: {status} {said}"));
            }
        }
        let path = format!("/api/aliases/{name}");
        assert!(node.ask(&Request::admin("DELETE", &path)).is_success(), "{name} was an alias");
    }
    for (way, status, said) in verdicts(&home, &node, "") {
        if status != 400 {
            wrong.push(format!("{way} without a name: {status} {said}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!((apps(), aliases()), before);
    assert!(node.stop().success());
}
