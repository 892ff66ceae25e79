//! What a process takes of the machine (proc(5)).

use std::fs;
use std::time::Duration;

/// Processor time that a process has used so far.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn processor_time(pid: i32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = [fields[11], fields[12]].map(|text| text.parse::<u64>().unwrap()).iter().sum();
    Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second())
}

/// Memory that a process uses now, in bytes.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn memory(pid: i32) -> u64 {
    status(pid, "VmRSS:")
}

/// The most memory that a process has used at once, in bytes.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn memory_peak(pid: i32) -> u64 {
    status(pid, "VmHWM:")
}

/// How many files and sockets a process has open.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn open_files(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn status(pid: i32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
