//! A disk that fails: errors injected into the system calls of the real server.

use std::path::Path;
use std::time::Duration;

use fazt_tests::{
    Answer, Broken, Client, Home, Launch, Node, Random, Request, archive, can_inject,
};
use serde_json::json;

/// Starts a node on a cartridge, with one system call that fails.
fn launch(db: &Path, inject: &str, only: &[&Path]) -> Launch {
    let mut tool: Vec<String> =
        ["strace", "-D", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null"].map(String::from).into();
    for path in only {
        tool.extend(["-P".to_owned(), path.display().to_string()]);
    }
    let calls = inject.split(':').next().unwrap();
    tool.extend(["-e".to_owned(), format!("trace={calls}")]);
    tool.extend(["-e".to_owned(), format!("inject={inject}")]);
    Launch::new(db).under(tool)
}

/// What became of a series of writes.
#[derive(Default)]
struct Series {
    acked: Vec<String>,
    deployed: Option<Vec<u8>>,
    refused: Vec<String>,
    acked_after: usize,
}

impl Series {
    /// One alias after the other, and a deploy now and then, until `count` or until nobody answers.
    fn run(&mut self, port: u16, key: &str, count: usize) {
        let Ok(mut client) = Client::connect(port) else { return };
        let mut random = Random::new(1);
        let mut ask = |request: Request| -> Option<Answer> {
            match client.send(&request.key(key)) {
                Ok(answer) => {
                    if answer.field("connection") == Some("close") {
                        client = Client::connect(port).ok()?;
                    }
                    Some(answer)
                }
                Err(Broken::Before(_)) => None,
                Err(broken) => panic!("{broken}"),
            }
        };
        for n in 0..count {
            let name = format!("a{n}");
            let add = json!({"name": name, "redirect": "https://example.org/"});
            let add = Request::admin("POST", "/api/aliases").json(&add);
            let Some(answer) = ask(add) else { return };
            self.note(&answer, |series| series.acked.push(name));
            if n % 5 != 0 {
                continue;
            }
            let content = random.bytes(400_000);
            let deploy = Request::deploy("site", archive(&[("index.html", &content)]));
            let Some(answer) = ask(deploy) else { return };
            self.note(&answer, |series| series.deployed = Some(content));
        }
    }

    fn note(&mut self, answer: &Answer, acked: impl FnOnce(&mut Self)) {
        if answer.is_success() {
            self.acked_after += usize::from(!self.refused.is_empty());
            acked(self);
        } else {
            self.refused.push(format!("{} {}", answer.status, answer.text()));
        }
    }

    /// Fails unless everything acknowledged is there.
    fn is_kept(&self, node: &Node, when: &str) {
        for name in &self.acked {
            let answer = node.get(&format!("{name}.localhost"), "/");
            assert_eq!(answer.status, 302, "{when}: {name} was acknowledged");
        }
        if let Some(content) = &self.deployed {
            let served = node.get("site.localhost", "/");
            assert_eq!(served.status, 200, "{when}: a deploy was acknowledged");
            // A deploy that was refused, or not answered, may have come later than this one.
            assert_eq!(served.body.len(), content.len(), "{when}");
        }
    }
}

/// A cartridge that a server has had, and a key for it.
fn cartridge() -> (Home, String) {
    let home = Home::new();
    let node = home.start();
    let key = node.key(&["read", "deploy", "admin"], None);
    assert!(node.stop().success());
    (home, key)
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_and_the_process_ends() {
    let test = "after_a_failed_sync_nothing_is_acknowledged_and_the_process_ends";
    if !can_inject(test) {
        return;
    }
    let mut acked = 0;
    for nth in [4, 7, 13, 26] {
        let (home, key) = cartridge();
        let inject = format!("fsync,fdatasync:error=EIO:when={nth}");
        let mut node = launch(&home.db(), &inject, &[]).start();
        let mut series = Series::default();
        series.run(node.port(), &key, 60);
        let status = node.ended(Duration::from_secs(10)).unwrap();
        let said = node.errors();
        assert!(status.code().is_some_and(|code| code != 0), "sync {nth}: {status}: {said}");
        assert!(said.contains("error: ") && said.contains("to lose nothing"), "sync {nth}: {said}");
        assert!(!said.contains("panicked"), "sync {nth}: {said}");
        assert_eq!(series.acked_after, 0, "sync {nth}: {:?}", series.refused);
        assert!(series.acked.len() < 60, "sync {nth} came too late");
        drop(node);
        let node = home.start();
        series.is_kept(&node, &inject);
        assert!(node.stop().success());
        acked += series.acked.len();
    }
    println!("failed sync: 4 runs, {acked} aliases acknowledged before, 0 after, 0 lost");
    assert!(acked > 10, "{acked}");
}

#[test]
fn whatever_write_or_open_fails_there_is_no_lie_and_no_panic() {
    let test = "whatever_write_or_open_fails_there_is_no_lie_and_no_panic";
    if !can_inject(test) {
        return;
    }
    let (mut runs, mut refused, mut ended, mut not_started) = (0, 0, 0, 0);
    for (call, errors) in [
        ("pwrite64", ["ENOSPC", "EIO"]),
        ("openat,open", ["EIO", "ENOSPC"]),
        ("ftruncate", ["EIO", "ENOSPC"]),
    ] {
        for error in errors {
            for nth in [1, 2, 3, 5, 8, 21] {
                let (home, key) = cartridge();
                let db = home.db().canonicalize().unwrap();
                let beside = |suffix: &str| db.with_file_name(format!("data.db{suffix}"));
                let (log, index, lock) = (beside("-wal"), beside("-shm"), beside(".lock"));
                let directory = db.parent().unwrap();
                let only: [&Path; 5] = [&db, &log, &index, &lock, directory];
                let inject = format!("{call}:error={error}:when={nth}");
                runs += 1;
                let mut series = Series::default();
                match launch(&db, &inject, &only).try_start() {
                    Err(why) => {
                        not_started += 1;
                        assert!(why.code.is_some_and(|code| code != 0), "{inject}: {why:?}");
                        assert!(why.err.contains("error: "), "{inject}: {}", why.err);
                        assert!(!why.err.contains("panicked"), "{inject}: {}", why.err);
                    }
                    Ok(mut node) => {
                        series.run(node.port(), &key, 12);
                        let said = node.errors();
                        assert!(!said.contains("panicked"), "{inject}: {said}");
                        if let Some(status) = node.ended(Duration::from_millis(50)) {
                            ended += 1;
                            assert!(
                                status.code().is_some_and(|code| code != 0),
                                "{inject}: {said}"
                            );
                        }
                        drop(node.kill_if_running());
                    }
                }
                refused += series.refused.len();
                let node = home.start();
                series.is_kept(&node, &inject);
                let verified = node.ask(&Request::admin("POST", "/api/system/cartridge/verify"));
                assert_eq!(verified.status, 200, "{inject}: {}", verified.text());
                let problems = verified.json()["data"]["problems"].as_array().map(Vec::len);
                assert_eq!(problems, Some(0), "{inject}: {}", verified.text());
                assert!(node.stop().success());
            }
        }
    }
    println!(
        "failing calls: {runs} runs, {not_started} did not start, {ended} ended, {refused} writes \
         refused, 0 lies, 0 panics"
    );
    assert!(refused > 0, "no fault hit a write");
}
