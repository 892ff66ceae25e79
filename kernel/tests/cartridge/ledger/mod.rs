//! The ledger: a process that writes is killed at random moments, and an auditor who shares no code
//! with it checks that everything acknowledged is there and nothing is half there.
//!
//! `CARTRIDGE_LEDGER_KILLS` and `CARTRIDGE_LEDGER_ACKS` set how long it goes on.

mod auditor;
pub(crate) mod generator;

use std::{path::Path, time::Duration};

use crate::{
    child,
    support::{Place, say},
};

/// What a series of kills showed.
struct Series {
    kills: usize,
    acks: usize,
    problems: Vec<String>,
}

/// Runs the generator and kills it until there were `kills` kills and `acks` acknowledgements, or the
/// auditor found something.
fn run(mode: &str, kills: usize, acks: usize) -> Series {
    let place = Place::new();
    let mut ledger = auditor::Ledger::default();
    let mut random = Random(0x5EED_0001);
    let mut series = Series { kills: 0, acks: 0, problems: Vec::new() };
    while (series.kills < kills || series.acks < acks) && series.problems.is_empty() {
        let role = format!("generate {} {mode}", series.kills);
        let mut victim = child::command(&role, &place.path).spawn().unwrap();
        let mut lines = child::lines(&mut victim);
        assert_eq!(child::next_line(&mut lines).as_deref(), Some("begin"), "it did not start");
        let reader = std::thread::Builder::new().spawn(move || {
            let mut acked = Vec::new();
            while let Some(line) = child::next_line(&mut lines) {
                acked.push(line);
            }
            acked
        });
        let reader = reader.unwrap();
        std::thread::sleep(Duration::from_millis(30 + random.below(500)));
        victim.kill().unwrap();
        victim.wait().unwrap();
        let acked = reader.join().unwrap();
        series.kills += 1;
        series.acks += acked.len();
        ledger.record(&acked);
        series.problems = audit_copy(&ledger, &place.path);
    }
    say(&format!("{mode}: {} kills, {} acknowledged writes", series.kills, series.acks));
    series
}

/// Audits a copy of the files as the crash left them, so that the audit changes nothing.
fn audit_copy(ledger: &auditor::Ledger, path: &Path) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("copy.db");
    std::fs::copy(path, &copy).unwrap();
    let log = path.with_file_name("data.db-wal");
    if log.exists() {
        std::fs::copy(log, directory.path().join("copy.db-wal")).unwrap();
    }
    ledger.audit(&copy)
}

/// Numbers that look random and are the same every time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }
}

#[expect(clippy::disallowed_methods, reason = "the length of the run is set from outside")]
fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn nothing_acknowledged_is_lost_or_torn_by_kill_9() {
    let kills = setting("CARTRIDGE_LEDGER_KILLS", 30);
    let acks = setting("CARTRIDGE_LEDGER_ACKS", 20_000);
    let series = run("honest", kills, acks);
    assert_eq!(series.problems, Vec::<String>::new());
    assert!(series.kills >= kills && series.acks >= acks);
}

#[test]
fn the_auditor_notices_answers_that_come_before_the_commit() {
    let series = run("early", 20, 0);
    assert!(series.problems.iter().any(|p| p.contains("lost")), "{:?}", series.problems);
}

#[test]
fn the_auditor_notices_a_write_in_two_steps() {
    let series = run("two-step", 20, 0);
    assert!(series.problems.iter().any(|p| p.contains("torn")), "{:?}", series.problems);
}
