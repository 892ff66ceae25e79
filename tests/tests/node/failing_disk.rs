//! A disk that fails: errors injected into the system calls of the real server.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fazt_tests::{
    Answer, Broken, Client, Home, Launch, Node, Random, Request, archive, can_inject, skipped,
    wait_for,
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
            assert_eq!(answer.status, 301, "{when}: {name} was acknowledged");
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

/// Makes system calls of a running node fail, until it is dropped.
struct Attached(Child);

impl Attached {
    /// From here on, the nth such call of each thread fails. None when tracing is not permitted.
    fn to(node: &Node, inject: &str) -> Option<Self> {
        let calls = inject.split(':').next().unwrap();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-p", &node.pid().to_string()]);
        strace.args(["-e", &format!("trace={calls}"), "-e", &format!("inject={inject}")]);
        let attached = Self(strace.stderr(Stdio::null()).spawn().unwrap());
        let tasks = format!("/proc/{}/task", node.pid());
        wait_for(Duration::from_secs(5), || {
            let mut tasks = std::fs::read_dir(&tasks).ok()?;
            let is_traced = |task: std::io::Result<std::fs::DirEntry>| {
                let status = std::fs::read_to_string(task.ok()?.path().join("status")).ok()?;
                Some(!status.contains("TracerPid:\t0\n"))
            };
            tasks.all(|task| is_traced(task).unwrap_or(true)).then_some(())
        })?;
        Some(attached)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts a node without faults: all that was acknowledged is there, and the file is sound.
fn is_sound(home: &Home, series: &Series, when: &str) {
    let node = home.start();
    series.is_kept(&node, when);
    let verified = node.ask(&Request::admin("POST", "/api/system/cartridge/verify"));
    assert_eq!(verified.status, 200, "{when}: {}", verified.text());
    let problems = verified.json()["data"]["problems"].as_array().map(Vec::len);
    assert_eq!(problems, Some(0), "{when}: {}", verified.text());
    assert!(node.stop().success());
}

#[test]
fn whatever_fails_at_the_start_is_said_in_words() {
    if !can_inject("whatever_fails_at_the_start_is_said_in_words") {
        return;
    }
    let (mut runs, mut not_started) = (0, 0);
    for call in ["pwrite64", "openat,open", "ftruncate", "fsync,fdatasync"] {
        for error in ["EIO", "ENOSPC"] {
            for nth in [1, 2, 3, 5] {
                let (home, key) = cartridge();
                let db = home.db().canonicalize().unwrap();
                let beside = |suffix: &str| db.with_file_name(format!("data.db{suffix}"));
                let (log, index, lock) = (beside("-wal"), beside("-shm"), beside(".lock"));
                // Other paths are the loader's, whose last words are not ours.
                let only: [&Path; 5] = [&db, &log, &index, &lock, db.parent().unwrap()];
                let inject = format!("{call}:error={error}:when={nth}");
                runs += 1;
                let mut series = Series::default();
                let said = match launch(&db, &inject, &only).try_start() {
                    Err(ended) => {
                        not_started += 1;
                        assert!(ended.code.is_some_and(|code| code != 0), "{inject}: {ended:?}");
                        assert!(ended.err.contains("error: "), "{inject}: {}", ended.err);
                        ended.err
                    }
                    Ok(node) => {
                        series.run(node.port(), &key, 6);
                        node.kill_if_running()
                    }
                };
                assert!(!said.contains("panicked"), "{inject}: {said}");
                is_sound(&home, &series, &inject);
            }
        }
    }
    println!("failing start: {runs} runs, {not_started} refused to start, 0 lies, 0 panics");
    assert!(not_started > 0, "no fault hit a start");
}

#[test]
fn whatever_fails_while_it_serves_there_is_no_lie_and_no_panic() {
    let test = "whatever_fails_while_it_serves_there_is_no_lie_and_no_panic";
    if !can_inject(test) {
        return;
    }
    let (mut runs, mut hit, mut refused, mut ended) = (0, 0, 0, 0);
    for (call, error) in [
        ("pwrite64", "ENOSPC"),
        ("pwrite64", "EIO"),
        ("pread64", "EIO"),
        ("openat,open", "EIO"),
        ("openat,open", "EMFILE"),
        ("openat,open", "ENOSPC"),
        ("ftruncate", "EIO"),
    ] {
        for nth in [1, 2, 4, 9, 20, 45] {
            let (home, key) = cartridge();
            let inject = format!("{call}:error={error}:when={nth}");
            let mut node = home.start();
            let Some(attached) = Attached::to(&node, &inject) else {
                skipped(test, "a process that runs may not be traced here");
                return;
            };
            runs += 1;
            let mut series = Series::default();
            series.run(node.port(), &key, 12);
            hit += usize::from(!series.refused.is_empty());
            refused += series.refused.len();
            // A node that goes on does so without faults, too.
            let status = node.ended(Duration::from_millis(20));
            drop(attached);
            let said = match status {
                Some(status) => {
                    ended += 1;
                    assert!(status.code().is_some_and(|code| code != 0), "{inject}: {status}");
                    node.errors()
                }
                None => {
                    let content = b"the fault is over".to_vec();
                    let files = [("index.html", &content)];
                    let answer = node.send(&Request::deploy("after", archive(&files)).key(&key));
                    assert_eq!(answer.status, 200, "{inject}: {}", answer.text());
                    node.kill_if_running()
                }
            };
            assert!(!said.contains("panicked"), "{inject}: {said}");
            is_sound(&home, &series, &inject);
        }
    }
    println!(
        "failing calls: {runs} runs, of which {hit} hit a request: {refused} refused, {ended} nodes \
         ended, 0 lies, 0 panics"
    );
    assert!(hit > 0, "no fault hit a request");
}

#[test]
fn every_acknowledgment_comes_after_a_sync_of_its_own() {
    if !can_inject("every_acknowledgment_comes_after_a_sync_of_its_own") {
        return;
    }
    let (home, key) = cartridge();
    let trace = home.path("trace");
    let mut tool: Vec<String> =
        ["strace", "-D", "-f", "-qq", "--seccomp-bpf", "-o"].map(String::from).into();
    tool.push(trace.display().to_string());
    tool.extend(["-e", "trace=fsync,fdatasync,write,writev,sendto,sendmsg"].map(String::from));
    let node = Launch::new(&home.db()).under(tool).start();
    let mut series = Series::default();
    series.run(node.port(), &key, 40);
    assert!(series.refused.is_empty(), "{:?}", series.refused);
    assert!(node.stop().success());
    let (mut syncs, mut acks, mut in_all) = (0, 0, 0);
    let trace = std::fs::read_to_string(trace).unwrap();
    for line in trace.lines() {
        let synced = line.contains("fsync") || line.contains("fdatasync");
        if synced && line.ends_with("= 0") {
            syncs += 1;
            in_all += 1;
        } else if line.contains("\"HTTP/1.1 200") {
            assert!(syncs > 0, "answer {acks} came without a sync: {line}");
            (syncs, acks) = (0, acks + 1);
        }
    }
    println!("syncs: {in_all} for {acks} acknowledgments, one after the other");
    assert_eq!(acks, 48, "40 aliases and 8 deploys");
}
