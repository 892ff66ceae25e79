//! The descriptors that a worker was born with, and gets rid of.

/// Standard input is the channel; output and errors lead nowhere.
const KEPT: i32 = 2;

/// Closes every descriptor but the three standard ones: those that whoever started the node left open
/// without saying that they close on exec. Returns what could not be done, in words.
///
/// # Errors
/// When the system does not say which there are.
#[cfg(target_os = "linux")]
pub(super) fn close_others() -> Result<(), String> {
    let list = std::fs::read_dir("/proc/self/fd").map_err(|error| format!("/proc: {error}"))?;
    let open: Vec<i32> = list
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor > KEPT)
        .collect();
    for descriptor in open {
        close(descriptor);
    }
    Ok(())
}

/// As above.
#[cfg(not(target_os = "linux"))]
pub(super) fn close_others() -> Result<(), String> {
    Err("this system does not list a process's descriptors".to_owned())
}

#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "a descriptor that nobody here owns can be closed by its number only"
)]
fn close(descriptor: i32) {
    // SAFETY: this runs first in a fresh process with one thread. No value of Rust owns a descriptor
    // past the standard ones yet, but the list above, which is closed already: then this is EBADF.
    let closed = unsafe { rustix::io::try_close(descriptor) };
    closed.unwrap_or_default();
}
