//! The ledger: clients write to a node that is killed at random instants; an auditor who shares no
//! code with them checks that everything acknowledged is there and nothing is half there.
//!
//! `NODE_LEDGER_KILLS`, `NODE_LEDGER_ACKS` and `NODE_LEDGER_SEED` set length and order of the run.

mod auditor;
mod book;

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use auditor::Auditor;
use book::Book;
use fazt_tests::{Home, Node, Random, Stopwatch, setting, until};

/// Connections that write at the same time.
const WRITERS: u32 = 32;

/// The generator, and the ledger that it writes.
struct Generator {
    child: Child,
    ledger: PathBuf,
}

impl Generator {
    fn start(node: &Node, key: &str, seed: u64, ledger: &Path) -> Self {
        let words = [node.port().to_string(), key.to_owned(), seed.to_string()];
        let mut command = Command::new(env!("CARGO_BIN_EXE_ledger-generator"));
        command.args(words).arg(ledger).arg(WRITERS.to_string());
        Self { child: command.spawn().unwrap(), ledger: ledger.to_owned() }
    }

    /// Waits until the ledger has grown by about this many lines.
    fn has_written(&self, lines: u64, since: u64) {
        // A line is about 36 bytes; what matters is that the instant has nothing to do with a write.
        let bytes = since + lines * 36;
        until(Duration::from_secs(60), "the generator writes", || length(&self.ledger) >= bytes);
    }

    /// Waits until it noticed that the node is gone.
    fn ends(mut self) {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the generator failed: {status}");
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn length(file: &Path) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}

#[test]
fn nothing_acknowledged_is_lost_or_torn_by_kill_9() {
    let kills = setting("NODE_LEDGER_KILLS", 30);
    let acks = setting("NODE_LEDGER_ACKS", 20_000);
    let seed = setting("NODE_LEDGER_SEED", u64::from(std::process::id()));
    println!("ledger: seed {seed}");
    let watch = Stopwatch::start();
    let mut random = Random::new(seed);
    let home = Home::new();
    let ledger = home.path("ledger");
    let (mut book, mut auditor) = (Book::default(), Auditor::default());
    let mut node = home.start();
    let key = node.key(&["read", "deploy", "admin"], None);
    let mut killed = 0;
    while killed < kills || book.acks() < acks {
        let before = length(&ledger);
        let generator = Generator::start(&node, &key, seed % 1_000 * 1_000 + killed, &ledger);
        let share = acks / kills.max(1) * 2;
        generator.has_written(share / 2 + random.below(share + 1), before);
        // The instant of death: also in the middle of a deploy, a commit, a checkpoint.
        std::thread::sleep(Duration::from_micros(random.below(30_000)));
        let said = node.kill();
        assert!(!said.contains("panicked"), "{said}");
        generator.ends();
        killed += 1;
        book.read(&std::fs::read_to_string(&ledger).unwrap());
        let problems = auditor.audit_files(&mut book, &home.db());
        assert_eq!(problems, Vec::<String>::new(), "after kill {killed}, seed {seed}");
        node = home.start();
        let problems = auditor.audit_answers(&book, node.port(), &key);
        assert_eq!(problems, Vec::<String>::new(), "after kill {killed}, seed {seed}");
    }
    assert!(node.stop().success());
    let problems = auditor.audit_files(&mut book, &home.db());
    assert_eq!(problems, Vec::<String>::new(), "after the stop, seed {seed}");
    println!(
        "ledger: {killed} kills, {} acknowledged writes of which {} deploys, {} unanswered, \
         {:?} refused, 0 lost, 0 torn, {:.0} s ({:.0} s audits)",
        book.acks(),
        book.deploys(),
        book.unanswered(),
        book.refused(),
        watch.elapsed().as_secs_f64(),
        auditor.took().as_secs_f64(),
    );
    let refused: u64 = book.refused().values().sum();
    assert!(refused * 100 < book.acks(), "{:?}", book.refused());
    assert!(book.deploys() > kills, "{} deploys", book.deploys());
}
