//! The system calls that a worker may make: memory, its channel, time, randomness, the end.
//!
//! Two filters, of which the stricter verdict counts. What asks for files is answered with `EACCES`:
//! a C library looks for a time zone or a locale now and then, and does without. Everything else that
//! is not listed ends the process on the spot.

/// Restricts this thread, which is the only one, and all that it could ever start.
///
/// # Errors
/// When the kernel, or the processor's table, has no such filter.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
))]
pub(super) fn restrict() -> Result<(), String> {
    linux::restrict().map_err(|error| error.to_string())
}

/// As above.
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
)))]
pub(super) fn restrict() -> Result<(), String> {
    Err("this system has none".to_owned())
}

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
))]
mod linux {
    use std::collections::BTreeMap;

    use seccompiler::{
        BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
        SeccompFilter, SeccompRule, TargetArch, apply_filter,
    };

    /// Allowed whatever the arguments are.
    const ALLOWED: &[i64] = &[
        // The channel, which is open already.
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_readv,
        libc::SYS_writev,
        libc::SYS_recvfrom,
        libc::SYS_recvmsg,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_shutdown,
        libc::SYS_ppoll,
        libc::SYS_close,
        libc::SYS_dup,
        libc::SYS_fstat,
        libc::SYS_lseek,
        // Memory; what makes it executable is refused below.
        libc::SYS_brk,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_membarrier,
        // Time, randomness, the machine's shape.
        libc::SYS_clock_gettime,
        libc::SYS_clock_getres,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_gettimeofday,
        libc::SYS_getrandom,
        libc::SYS_getrusage,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_sysinfo,
        libc::SYS_uname,
        libc::SYS_getpid,
        libc::SYS_gettid,
        // Threads of which there is one, signals, the end.
        libc::SYS_futex,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_time,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_getcpu,
    ];

    /// What is about files, and answers that nobody may.
    const REFUSED: &[i64] = &[
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_statx,
        libc::SYS_newfstatat,
        libc::SYS_faccessat,
        libc::SYS_faccessat2,
        libc::SYS_readlinkat,
        libc::SYS_getcwd,
        libc::SYS_chdir,
        libc::SYS_unlinkat,
        libc::SYS_mkdirat,
        libc::SYS_renameat2,
        libc::SYS_getdents64,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_stat,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_lstat,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_access,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_readlink,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_unlink,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_mkdir,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_rename,
    ];

    /// `prctl(2)`, since Linux 6.4; the libc crate does not name it everywhere.
    const PR_GET_AUXV: u64 = 0x4155_5856;

    type Rules = BTreeMap<i64, Vec<SeccompRule>>;

    /// A rule about one argument: `argument & mask == value`.
    fn when(argument: u8, mask: u64, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
        let masked = SeccompCmpOp::MaskedEq(mask);
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Qword, masked, value)?;
        SeccompRule::new(vec![condition])
    }

    fn allowed() -> Result<Rules, seccompiler::BackendError> {
        let number = |number: i32| u64::from(number.unsigned_abs());
        let mut rules: Rules =
            ALLOWED.iter().chain(REFUSED).map(|call| (*call, Vec::new())).collect();
        let executable = number(libc::PROT_EXEC);
        rules.insert(libc::SYS_mmap, vec![when(2, executable, 0)?]);
        rules.insert(libc::SYS_mprotect, vec![when(2, executable, 0)?]);
        // Its own signals only: that is how a process aborts.
        let own = u64::from(std::process::id());
        rules.insert(libc::SYS_tgkill, vec![when(0, u64::from(u32::MAX), own)?]);
        // The auxiliary vector of its own process, which the system gave it at its start: the copy of
        // rustix in a library looks there for the clock.
        rules.insert(libc::SYS_prctl, vec![when(0, u64::from(u32::MAX), PR_GET_AUXV)?]);
        // Asking for a limit, never setting one.
        rules.insert(libc::SYS_prlimit64, vec![when(2, u64::MAX, 0)?]);
        let commands = [libc::F_DUPFD_CLOEXEC, libc::F_GETFD, libc::F_GETFL, libc::F_SETFL];
        let commands = commands.map(|command| when(1, u64::from(u32::MAX), number(command)));
        rules.insert(libc::SYS_fcntl, commands.into_iter().collect::<Result<_, _>>()?);
        let timeouts = [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO];
        let timeouts = timeouts.map(|option| when(2, u64::from(u32::MAX), number(option)));
        rules.insert(libc::SYS_setsockopt, timeouts.into_iter().collect::<Result<_, _>>()?);
        Ok(rules)
    }

    fn program(
        rules: Rules,
        otherwise: SeccompAction,
        listed: SeccompAction,
    ) -> Result<BpfProgram, seccompiler::BackendError> {
        let processor = TargetArch::try_from(std::env::consts::ARCH)?;
        SeccompFilter::new(rules, otherwise, listed, processor)?.try_into()
    }

    pub(super) fn restrict() -> Result<(), Error> {
        let refused = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
        let denied = SeccompAction::Errno(libc::EACCES.unsigned_abs());
        let files = program(refused, SeccompAction::Allow, denied)?;
        let rest = program(allowed()?, SeccompAction::KillProcess, SeccompAction::Allow)?;
        apply_filter(&files)?;
        apply_filter(&rest)
    }
}
