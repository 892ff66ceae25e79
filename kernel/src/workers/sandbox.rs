//! What a worker gives up before it reads a byte: layer after layer, each useful without the others.
//!
//! | Layer | Takes away |
//! |---|---|
//! | descriptors | everything that was open, but the channel |
//! | parent | a life after the node's |
//! | capabilities, `no_new_privs` | rights of the superuser, for good |
//! | limits | memory, processor time, descriptors, processes, core dumps |
//! | landlock | the file system, TCP, signals and abstract sockets |
//! | seccomp | every system call that an engine does not need ([`super::calls`]) |
//!
//! A layer that the system lacks is reported and left out: the others still hold.

use super::child::Setup;
use super::descriptors;

/// Memory beyond the limit that is granted for stacks and what the allocator keeps.
const SLACK_BYTES: u64 = 16 << 20;

/// Address space beyond what is written to: mappings that are only reserved.
const RESERVED_BYTES: u64 = 64 << 20;

/// Descriptors that a worker may have: the three standard ones and a few copies.
const DESCRIPTORS_MAX: u64 = 8;

/// A layer's name, and how it is put on.
type Layer<'a> = (&'a str, &'a dyn Fn() -> Result<(), String>);

/// Gives everything up. Returns what could not be, one line each: empty is good.
pub(super) fn enter(setup: &Setup) -> String {
    let layers: [Layer<'_>; 6] = [
        ("descriptors", &descriptors::close_others),
        ("parent", &die_with_parent),
        ("capabilities", &give_up_rights),
        ("limits", &|| limit(setup)),
        ("landlock", &restrict_files),
        ("seccomp", &super::calls::restrict),
    ];
    let failed = layers.iter().filter_map(|(name, apply)| {
        let why = apply().err()?;
        Some(format!("{name}: {}", why.replace('\n', " ")))
    });
    failed.collect::<Vec<_>>().join("\n")
}

/// The lines of a report.
pub(super) fn read_report(report: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(report).lines().map(str::to_owned).collect()
}

#[cfg(target_os = "linux")]
fn die_with_parent() -> Result<(), String> {
    use rustix::process::{Signal, set_parent_process_death_signal};
    // A parent that died before this line closed the channel too: that is the other way to end.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| error.to_string())
}

#[cfg(target_os = "linux")]
fn give_up_rights() -> Result<(), String> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_no_new_privs(true).map_err(|error| format!("no_new_privs: {error}"))?;
    set_capabilities(None, sets).map_err(|error| error.to_string())?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| format!("dumpable: {error}"))
}

#[cfg(target_os = "linux")]
fn restrict_files() -> Result<(), String> {
    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetStatus, Scope,
    };
    // The newest that is known here; an older kernel enforces what of it it knows.
    let newest = ABI::V6;
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(newest))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(newest)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(newest)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(|error| error.to_string())?;
    match restricted.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced => Err("the kernel has none".to_owned()),
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent() -> Result<(), String> {
    Err("this system does not end a child with its parent; the end of the channel does".to_owned())
}

#[cfg(not(target_os = "linux"))]
fn give_up_rights() -> Result<(), String> {
    Err("this system has no capabilities".to_owned())
}

#[cfg(not(target_os = "linux"))]
fn restrict_files() -> Result<(), String> {
    Err("this system has none".to_owned())
}

fn limit(setup: &Setup) -> Result<(), String> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let own = own_bytes();
    let memory = setup.memory_bytes.saturating_add(SLACK_BYTES);
    let cpu_s = setup.cpu.as_secs();
    let limits = [
        (
            Resource::As,
            own.map(|(all, _)| all.saturating_add(memory).saturating_add(RESERVED_BYTES)),
        ),
        (Resource::Data, own.map(|(_, data)| data.saturating_add(memory))),
        (Resource::Cpu, Some(cpu_s)),
        (Resource::Nofile, Some(DESCRIPTORS_MAX)),
        (Resource::Nproc, Some(0)),
        (Resource::Core, Some(0)),
        (Resource::Fsize, Some(0)),
        (Resource::Memlock, Some(0)),
    ];
    let mut failed = Vec::new();
    for (resource, value) in limits {
        let Some(value) = value else {
            failed.push(format!("{resource:?}: what the program itself takes is not known"));
            continue;
        };
        // The signal of processor time comes a second before the one that nobody can handle.
        let most = if resource == Resource::Cpu { value + 1 } else { value };
        let limit = Rlimit { current: Some(value), maximum: Some(most) };
        if let Err(error) = setrlimit(resource, limit) {
            failed.push(format!("{resource:?}: {error}"));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join(", ")) }
}

/// Address space and data of this process, in bytes (proc_pid_statm(5)).
fn own_bytes() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split_ascii_whitespace().map(|field| field.parse::<u64>().ok());
    let (all, data) = (pages.next()??, pages.nth(4)??);
    let page_bytes = rustix::param::page_size() as u64;
    Some((all.saturating_mul(page_bytes), data.saturating_mul(page_bytes)))
}
