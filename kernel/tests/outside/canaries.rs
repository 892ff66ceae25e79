//! Every spelling of every address that is not public, and a listener on each that must stay silent.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fazt_testkit::{Outside, TestKernel};
use serde_json::json;

use crate::asker::{ASKER, ask};
use crate::child;
use crate::internet::{Internet, world};
use crate::server::{Server, ok};

/// Addresses that are not public, each in every spelling that some program understands.
pub(crate) fn spellings() -> Vec<String> {
    let mut all = Vec::new();
    for octets in [
        [127, 0, 0, 1],
        [127, 255, 255, 254],
        [10, 0, 0, 5],
        [172, 16, 0, 1],
        [192, 168, 1, 1],
        [169, 254, 169, 254],
        [100, 64, 0, 1],
        [0, 0, 0, 0],
    ] {
        let [a, b, c, d]: [u8; 4] = octets;
        let number = u32::from_be_bytes(octets);
        let (ab, cd) = (number >> 16, number & 0xffff);
        all.extend([
            format!("{a}.{b}.{c}.{d}"),
            format!("{a}.{b}.{c}.{d}."),
            format!("{number}"),
            format!("0x{number:08x}"),
            format!("0X{number:X}"),
            format!("0{number:o}"),
            format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
            format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
            format!("0x{a:x}.{b}.0{c:o}.{d}"),
            format!("{a}.{}", number & 0x00ff_ffff),
            format!("{a}.{b}.{cd}"),
            format!("[::ffff:{a}.{b}.{c}.{d}]"),
            format!("[::ffff:{ab:x}:{cd:x}]"),
            format!("[0:0:0:0:0:ffff:{ab:04x}:{cd:04x}]"),
            format!("[::{a}.{b}.{c}.{d}]"),
            format!("[64:ff9b::{a}.{b}.{c}.{d}]"),
            format!("[64:ff9b:1::{ab:x}:{cd:x}]"),
            format!("[2002:{ab:x}:{cd:x}::1]"),
            format!("[2001:0:{ab:x}:{cd:x}::1]"),
            format!("[2001::{:x}:{:x}]", ab ^ 0xffff, cd ^ 0xffff),
            format!("%{:02x}{}.{b}.{c}.{d}", a.to_string().as_bytes()[0], &a.to_string()[1..]),
            format!("{a}。{b}。{c}。{d}"),
        ]);
    }
    for host in [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "x.localhost",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[fd00::1]",
        "[fc00::1]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[::ffff:0:127.0.0.1]",
        "[100::1]",
        "[2001:db8::1]",
        "[3fff::1]",
        "[5f00::1]",
        "198.18.0.1",
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "192.0.0.1",
        "192.88.99.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "１２７.0.0.1",
        "①②⑦.0.0.1",
        "127.1",
        "0",
        "0x7f.1",
    ] {
        all.push(host.to_owned());
    }
    all
}

#[tokio::test]
async fn no_spelling_of_an_address_that_is_not_public_is_connected_to() {
    let world = world().await;
    for name in ["localhost", "x.localhost"] {
        world.internet.name(name, &["127.0.0.1", "::1"]);
    }
    let all = spellings();
    assert!(all.len() >= 120, "{}", all.len());
    for host in all {
        for scheme in ["http", "https"] {
            let reply = world.ask(&format!("{scheme}://{host}/"), json!({})).await;
            assert_eq!(reply.code(), "NET_BLOCKED", "{scheme}://{host}/: {reply:?}");
        }
    }
    assert_eq!(world.internet.dialed(), []);
}

#[tokio::test]
async fn a_name_with_one_address_that_is_not_public_is_refused_whole() {
    let world = world().await;
    for bad in ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1"] {
        world.internet.name("mixed.test", &["93.184.215.14", bad]);
        assert_eq!(world.ask("http://mixed.test/", json!({})).await.code(), "NET_BLOCKED", "{bad}");
        world.internet.name("mixed.test", &[bad, "93.184.215.14"]);
        assert_eq!(world.ask("http://mixed.test/", json!({})).await.code(), "NET_BLOCKED", "{bad}");
    }
    assert_eq!(world.internet.dialed(), []);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_gains_nothing() {
    let world = world().await;
    let server = Server::new(|_, to| ok(to, "public"));
    world.internet.serve("93.184.215.14:80", &server);
    let (public, inside): (&[&str], &[&str]) = (&["93.184.215.14"], &["127.0.0.1"]);
    world.internet.name_changing("rebind.test", &[public, inside, public, inside]);
    for expected in ["200", "NET_BLOCKED", "200", "NET_BLOCKED"] {
        assert_eq!(world.ask("http://rebind.test/", json!({})).await.code(), expected);
    }
    let dialed = world.internet.dialed();
    assert!(
        dialed.iter().all(|address| address.ip() == IpAddr::from([93, 184, 215, 14])),
        "{dialed:?}"
    );
}

#[tokio::test]
async fn the_node_is_not_asked_under_its_own_names() {
    let settings = [("server.domain", "node.test")];
    let world = crate::internet::world_with(&settings, Vec::new()).await;
    for host in ["node.test", "blog.node.test", "admin.node.test", "NODE.test."] {
        world.internet.name(&host.to_lowercase(), &["93.184.215.14"]);
        assert_eq!(
            world.ask(&format!("http://{host}/"), json!({})).await.code(),
            "NET_BLOCKED",
            "{host}"
        );
    }
    assert_eq!(world.internet.dialed(), []);
}

/// The same with the machine's own network, where every address leads to a canary, in a network
/// namespace of its own; proxies of the environment lead to one too.
#[test]
fn canaries_on_all_those_addresses_stay_silent() {
    let tried = Command::new("unshare").args(["--net", "--map-root-user", "ip", "link"]).output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        println!("left out: this machine allows no network namespace (unshare, ip)");
        return;
    }
    let script = "ip link set lo up; \
        ip addr add 10.0.0.5/32 dev lo; ip addr add 172.16.0.1/32 dev lo; \
        ip addr add 192.168.1.1/32 dev lo; ip addr add 169.254.169.254/32 dev lo; \
        ip addr add 100.64.0.1/32 dev lo; ip addr add 198.18.0.1/32 dev lo; \
        ip -6 addr add fd00::1/128 dev lo; ip -6 addr add fc00::1/128 dev lo; \
        ip route add local 0.0.0.0/0 dev lo; ip -6 route add local ::/0 dev lo; \
        exec \"$@\"";
    let options = ["--net", "--map-root-user", "sh", "-c", script, "sh"];
    let output = child::command_under("unshare", &options, "canaries")
        .env("HTTP_PROXY", "http://10.0.0.5:80")
        .env("http_proxy", "http://10.0.0.5:80")
        .env("HTTPS_PROXY", "http://10.0.0.5:80")
        .env("ALL_PROXY", "socks5://10.0.0.5:80")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = child::report(&said);
    assert_eq!(
        report.as_deref(),
        Some("silent"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What runs inside the namespace.
pub(crate) fn in_the_namespace() {
    let rung = Arc::<AtomicUsize>::default();
    // Both families on one socket, as Linux has it.
    for address in ["[::]:80", "[::]:443"] {
        let listener = TcpListener::bind(address).unwrap();
        let rung = Arc::clone(&rung);
        let answer = move || {
            while let Ok((mut client, _)) = listener.accept() {
                rung.fetch_add(1, Ordering::SeqCst);
                drop(client.read(&mut [0; 1024]));
                drop(client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ncanary"));
            }
        };
        std::thread::Builder::new().spawn(answer).unwrap();
    }
    // The canaries do sing.
    for address in
        ["127.0.0.1:80", "10.0.0.5:443", "169.254.169.254:80", "[fd00::1]:80", "[::1]:443"]
    {
        let before = rung.load(Ordering::SeqCst);
        let target = address.parse().unwrap();
        TcpStream::connect_timeout(&target, Duration::from_secs(2)).unwrap();
        while rung.load(Ordering::SeqCst) == before {
            std::thread::yield_now();
        }
    }
    let before = rung.load(Ordering::SeqCst);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asked = runtime.block_on(async {
        let names = Arc::new(Internet::default());
        for name in ["localhost", "x.localhost", "metadata.test"] {
            names.name(name, &["127.0.0.1", "::1"]);
        }
        names.name_changing("rebind.test", &[&["169.254.169.254"], &["fd00::1"]]);
        let outside = Outside { resolver: names, ..Outside::default() };
        let mut node = TestKernel::within(vec![ASKER], &[], outside).await.unwrap();
        let app = node.app("blog").await.unwrap();
        let names = ["metadata.test", "rebind.test"].map(str::to_owned);
        let mut asked = 0;
        for host in spellings().into_iter().chain(names) {
            for scheme in ["http", "https"] {
                let reply = ask(&node, app, &format!("{scheme}://{host}/"), json!({})).await;
                assert_eq!(reply.code(), "NET_BLOCKED", "{scheme}://{host}/: {reply:?}");
                asked += 1;
            }
        }
        // Here every address is the machine's own, also a public one.
        let reply = ask(&node, app, "http://93.184.215.14/", json!({})).await;
        assert_eq!(reply.code(), "NET_BLOCKED", "{reply:?}");
        node.stop().await.unwrap();
        asked
    });
    assert!(asked >= 240, "{asked}");
    let sung = rung.load(Ordering::SeqCst) - before;
    child::tell(&if sung == 0 { "silent".to_owned() } else { format!("{sung} connections") });
}
