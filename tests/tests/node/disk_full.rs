//! A disk without space, for real: a small file system in memory, in a name space of the node's own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use fazt_tests::{Client, Home, Launch, Node, Random, Request, Stopwatch, archive, skipped};
use serde_json::json;

const CYCLES: u64 = 5;

/// A node on a small disk that only it has mounted.
struct Small {
    node: Node,
    /// The disk, as it is seen from here.
    disk: PathBuf,
}

impl Small {
    fn start(home: &Home, mebibytes: u32) -> Option<Self> {
        let mount = home.path("disk");
        std::fs::create_dir(&mount).unwrap();
        let script = format!(
            "mount -t tmpfs -o size={mebibytes}m tmpfs '{}' && exec \"$@\"",
            mount.display()
        );
        let tool = ["unshare", "-rm", "sh", "-c", &script, "sh"];
        let can = Command::new(tool[0]).args(&tool[1..]).arg("true").output();
        if !can.is_ok_and(|output| output.status.success()) {
            skipped("a full disk", "mounting a small file system is not permitted (unshare -rm)");
            return None;
        }
        let node = Launch::new(&mount.join("data.db")).under(tool).start();
        let root = PathBuf::from(format!("/proc/{}/root", node.pid()));
        let disk = root.join(mount.strip_prefix("/").unwrap());
        Some(Self { node, disk })
    }

    fn key(&self) -> String {
        let wanted = json!({"name": "test", "scopes": ["read", "deploy", "admin"]});
        let mut client = Client::connect_socket(&self.disk.join("data.db.sock")).unwrap();
        let made = client.send(&Request::admin("POST", "/api/keys").json(&wanted)).unwrap();
        made.json()["data"]["key"].as_str().unwrap().to_owned()
    }
}

/// Fills what is left of the disk to the last byte.
fn fill(disk: &Path) -> PathBuf {
    let ballast = disk.join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    for size in [65_536, 4_096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    ballast
}

#[test]
fn a_full_disk_is_507_sites_stay_up_and_space_is_all_it_takes() {
    let home = Home::new();
    let Some(small) = Small::start(&home, 96) else { return };
    let key = small.key();
    let (mut random, pid) = (Random::new(11), small.node.pid());
    let deploy = |content: Vec<u8>| {
        let files = [("index.html", &content), ("copy.bin", &content)];
        small.node.send(&Request::deploy("site", archive(&files)).key(&key))
    };
    let alias = |name: &str| {
        let add = json!({"name": name, "redirect": "https://example.org/"});
        small.node.send(&Request::admin("POST", "/api/aliases").json(&add).key(&key))
    };
    let mut served = random.bytes(300_000);
    assert_eq!(deploy(served.clone()).status, 200);
    let mut slowest = Duration::ZERO;
    let mut refusals = 0;
    for cycle in 0..CYCLES {
        let ballast = fill(&small.disk);
        for _ in 0..4 {
            let refused = deploy(random.bytes(300_000));
            let (status, code) = (refused.status, refused.code());
            assert_eq!((status, &*code), (507, "STORAGE_FULL"), "{}", refused.text());
            refusals += 1;
            let answer = small.node.get("site.localhost", "/");
            assert!(answer.status == 200 && answer.body == served, "cycle {cycle}: {status}");
        }
        for n in 0..20 {
            let name = format!("a{cycle}-{n}");
            let answer = alias(&name);
            let leads = small.node.get(&format!("{name}.localhost"), "/").status == 301;
            match answer.status {
                200 => assert!(leads, "{name} was acknowledged"),
                507 => assert!(!leads, "{name} was refused"),
                _ => panic!("{}: {}", answer.status, answer.text()),
            }
        }
        std::fs::remove_file(ballast).unwrap();
        let watch = Stopwatch::start();
        let content = random.bytes(300_000);
        let answer = deploy(content.clone());
        slowest = slowest.max(watch.elapsed());
        assert_eq!(answer.status, 200, "the first after space came back: {}", answer.text());
        served = content;
        assert_eq!(small.node.get("site.localhost", "/").body, served);
    }
    println!(
        "disk full: {CYCLES} cycles, {refusals} deploys refused with 507, first deploy after space \
         came back within {} ms, process {pid} all the time",
        slowest.as_millis()
    );
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    let said = small.node.errors();
    assert!(!said.contains("panicked"), "{said}");
    assert!(small.node.stop().success());
}
