//! Reads: on the calling thread while they are short, on a scanning thread when they are not.

use fazt_sdk::cartridge::{Cartridge, Reader};
use fazt_sdk::{ErrorKind, Result};

/// Reads for at most 5 ms here, and where that is not enough, again for at most 5 s aside.
pub(crate) async fn read<T, F>(cartridge: &Cartridge, read: F) -> Result<T>
where
    T: Send + 'static,
    F: Fn(&Reader<'_>) -> Result<T> + Send + 'static,
{
    match cartridge.read(&read) {
        Err(error) if error.kind() == ErrorKind::Timeout => cartridge.scan(read).await,
        other => other,
    }
}
