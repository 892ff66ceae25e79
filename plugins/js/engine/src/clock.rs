//! The one place that asks the machine for the time: an engine has no host to ask, and its limits
//! are promises about real time.

use std::time::{Duration, Instant};

/// Now.
#[expect(clippy::disallowed_methods, reason = "an engine runs apart from the host's clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The processor time of this thread so far.
pub(crate) fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}
