//! Peers: an address book, commands that go there, and whom a key is sent to.

use serde_json::Value;

use crate::home::{Home, Node, get, site};
use crate::tls::{Authority, Front};

/// A node with a key of these scopes, started below the home of somebody else.
fn node_with_key(home: &Home, scopes: &str) -> (Node, String) {
    let node = home.starts("server start --db node.db --port 0", "port  ");
    let made = home
        .command(&format!(
            "server create-key --name ci --scopes {scopes} --db node.db --format json"
        ))
        .output()
        .unwrap();
    let key: Value = serde_json::from_slice(&made.stdout).unwrap();
    (node, key["key"].as_str().unwrap().to_owned())
}

/// What a command said on standard error, and its exit code.
fn fails(home: &Home, words: &str, environment: &[(&str, &str)]) -> (i32, String) {
    let output = home.command(words).envs(environment.iter().copied()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_laptop_without_a_cartridge_deploys_to_a_peer() {
    let there = Home::new();
    let (node, key) = node_with_key(&there, "admin");
    let mut here = Home::new();
    here.golden.mask(key.clone(), "KEY");
    let url = format!("http://localhost:{}", node.port());
    here.types("@home app list");
    here.types("peer list");
    here.types_with(&format!("peer add home --url {url} --token -"), &format!("{key}\n"));
    assert!(here.path(".fazt/data.db").exists());
    here.types_with(&format!("peer add home --url {url} --token -"), &format!("{key}\n"));
    here.types_with(&format!("peer add local --url {url} --token -"), &format!("{key}\n"));
    here.types("peer list");
    here.types("peer list --check");
    here.types("@home app list");
    here.types("@nobody app list");
    here.types("@home app list --to local");
    site(&here.path("blog"), "from a laptop");
    here.types("@home app deploy blog");
    assert!(get(node.port(), "blog.localhost", "/").ends_with("from a laptop"));
    site(&here.path("blog"), "again");
    here.types("app deploy blog");
    assert!(get(node.port(), "blog.localhost", "/").ends_with("again"));
    here.types("@home app rollback blog --to 1");
    here.types("@local app list");
    here.types("peer default local");
    here.types("app list");
    here.types("peer default nobody");
    here.types("peer remove home");
    here.types("@home app list");
    here.types("peer add home");
    here.golden.check("peers");
    assert!(node.stops().success());
}

#[test]
fn a_key_on_the_command_line_is_warned_about_and_stays_sealed() {
    let mut here = Home::new();
    let key = "fzt_12345678abcdefghijklmnop";
    let output = here
        .command(&format!("peer add far --url http://localhost:1 --token {key}"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("can read the command line"), "{said}");
    assert!(said.contains("warning: far was added, but"), "{said}");
    let file = std::fs::read(here.path(".fazt/data.db")).unwrap();
    assert!(!file.windows(key.len()).any(|part| part == key.as_bytes()));
    assert!(!here.types("peer list --format json").contains(key));
}

#[test]
fn a_peer_behind_tls_is_reached_when_its_authority_is_trusted() {
    let there = Home::new();
    let (node, key) = node_with_key(&there, "deploy,read");
    let authority = Authority::new();
    let front = Front::of_node(authority.server("admin.localhost", 2100), node.port());
    let here = Home::new();
    authority.write(&here.path("authority.pem"));
    let trusting = [("SSL_CERT_FILE", "authority.pem"), ("FAZT_TOKEN", key.as_str())];
    let url = format!("https://localhost:{}", front.port);

    let (exit, said) = fails(&here, &format!("peer add far --url {url}"), &trusting);
    assert_eq!(exit, 0, "{said}");
    assert!(!said.contains("warning"), "{said}");
    site(&here.path("blog"), "over tls");
    let (exit, said) = fails(&here, "@far app deploy blog", &trusting[..1]);
    assert_eq!(exit, 0, "{said}");
    assert!(get(node.port(), "blog.localhost", "/").ends_with("over tls"));
    let (exit, said) = fails(&here, &format!("app list --to {url}"), &trusting);
    assert_eq!(exit, 0, "{said}");

    // Without the authority it is a stranger's certificate, and the key is not sent.
    let (exit, said) = fails(&here, "@far app list", &[]);
    assert_eq!(exit, 4, "{said}");
    assert!(said.contains("self-signed") && said.contains("SSL_CERT_FILE"), "{said}");
    assert!(node.stops().success());
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let here = Home::new();
    let authority = Authority::new();
    authority.write(&here.path("authority.pem"));
    let trusting = [("SSL_CERT_FILE", "authority.pem"), ("FAZT_TOKEN", "fzt_x")];
    let nobody = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    for (server, words) in [
        (authority.server("admin.localhost", 2021), "has expired"),
        (authority.server("elsewhere.example", 2100), "not for admin.localhost, but for"),
        (Authority::new().server("admin.localhost", 2100), "nobody whom this machine trusts"),
    ] {
        let front = Front::saying(server, nobody);
        let words_typed = format!("app list --to https://localhost:{}", front.port);
        let (exit, said) = fails(&here, &words_typed, &trusting);
        assert_eq!(exit, 4, "{said}");
        assert!(said.contains(words), "{said}");
    }
    let there = Home::new();
    let (node, _) = node_with_key(&there, "read");
    let words = format!("app list --to https://localhost:{}", node.port());
    let (exit, said) = fails(&here, &words, &trusting);
    assert_eq!(exit, 5, "{said}");
    assert!(said.contains("not with TLS"), "{said}");
    let (exit, said) =
        fails(&here, &words, &[("SSL_CERT_FILE", "none.pem"), ("FAZT_TOKEN", "fzt_x")]);
    assert_eq!(exit, 2, "{said}");
    assert!(said.contains("SSL_CERT_FILE names none.pem"), "{said}");
    assert!(node.stops().success());
}

#[test]
fn a_redirect_takes_no_key_along() {
    let here = Home::new();
    let authority = Authority::new();
    authority.write(&here.path("authority.pem"));
    let trusting = [("SSL_CERT_FILE", "authority.pem"), ("FAZT_TOKEN", "fzt_x")];
    let front = Front::saying(
        authority.server("admin.localhost", 2100),
        "HTTP/1.1 301 Moved\r\nlocation: http://localhost:1/\r\ncontent-length: 0\r\n\r\n",
    );
    let words = format!("app list --to https://localhost:{}", front.port);
    let (exit, said) = fails(&here, &words, &trusting);
    assert_eq!(exit, 1, "{said}");
    assert!(said.contains("sends elsewhere, to http://localhost:1/"), "{said}");
}

#[test]
fn a_key_is_not_sent_over_plain_http_to_anywhere_else() {
    let mut here = Home::new();
    for words in [
        "peer add far --url http://example.com --token fzt_x",
        "app list --to http://example.com",
        "app list --to http://localhost.example.com",
    ] {
        let (exit, said) = fails(&here, words, &[("FAZT_TOKEN", "fzt_x")]);
        assert_eq!(exit, 2, "{said}");
        assert!(said.contains("only over HTTPS"), "{said}");
    }
    assert!(!here.path(".fazt").exists(), "nothing was made for an address that cannot be");
    assert_eq!(here.types("peer list --db none.db"), "");
}
