//! What a process uses, as `/proc` says it (proc_pid_stat(5)).

use std::time::Duration;

use fazt_sdk::services::workers::WorkerUsage;
use fazt_sdk::{Error, Result};

/// What the process uses.
///
/// # Errors
/// `Unavailable` when it is gone, or the system has no such place.
pub(super) fn of(pid: u32) -> Result<WorkerUsage> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Error::unavailable(format!("{path} cannot be read: {error}")))?;
    parse(pid, &text).ok_or_else(|| Error::unavailable(format!("{path} is not understood")))
}

fn parse(pid: u32, text: &str) -> Option<WorkerUsage> {
    // The second field is the name in parentheses, and may hold anything, also parentheses.
    let (_, rest) = text.rsplit_once(')')?;
    let field = |number: usize| rest.split_ascii_whitespace().nth(number)?.parse::<u64>().ok();
    // Counted from the state, which is field 3: utime is 14, stime 15, rss 24.
    let ticks = field(11)? + field(12)?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let pages = field(21)?;
    Some(WorkerUsage {
        pid,
        cpu: Duration::from_millis(ticks.saturating_mul(1000) / per_second),
        memory_bytes: pages.saturating_mul(rustix::param::page_size() as u64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_hides_nothing() {
        let tail = "S 1 1 1 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0 100 8192000 300 184";
        let usage = parse(7, &format!("7 (a ) b (c) {tail}")).unwrap();
        assert_eq!(usage.pid, 7);
        assert_eq!(usage.memory_bytes, 300 * rustix::param::page_size() as u64);
        let per_second = rustix::param::clock_ticks_per_second();
        assert_eq!(usage.cpu, Duration::from_millis(200_000 / per_second));
        for text in ["", "7", "7 (x)", "7 (x) S 1"] {
            assert!(parse(7, text).is_none(), "{text}");
        }
    }

    #[test]
    fn this_process_has_memory() {
        assert!(
            of(std::process::id()).is_ok_and(|usage| usage.memory_bytes > 0)
                || !cfg!(target_os = "linux")
        );
    }
}
