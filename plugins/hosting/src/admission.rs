//! How many uploads of a kind may run at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fazt_sdk::{Error, Result};

/// Lets a number of uploads in.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    setting: &'static str,
    at_once_max: u32,
    running: Arc<AtomicU32>,
}

impl Admission {
    /// At most `at_once_max` of them, which is the value of `setting`.
    pub(crate) fn new(setting: &'static str, at_once_max: u32) -> Self {
        Self { setting, at_once_max, running: Arc::default() }
    }

    /// Whether none is running.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.load(Ordering::Relaxed) == 0
    }

    /// Lets one in, until what is returned is dropped.
    ///
    /// # Errors
    /// `Busy` when as many are running.
    pub(crate) fn admit(&self) -> Result<Permit> {
        let permit = Permit(Arc::clone(&self.running));
        if self.running.fetch_add(1, Ordering::SeqCst) >= self.at_once_max {
            return Err(Error::busy(format!(
                "{} uploads are running, the limit `{}`; try again in a moment",
                self.at_once_max, self.setting
            )));
        }
        Ok(permit)
    }
}

/// One running upload.
#[derive(Debug)]
pub(crate) struct Permit(Arc<AtomicU32>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_upload_ended() {
        let admission = Admission::new("a.setting", 2);
        let first = admission.admit().unwrap();
        let second = admission.admit().unwrap();
        assert_eq!(admission.admit().unwrap_err().code(), "BUSY");
        drop(first);
        assert!(!admission.is_idle());
        drop(admission.admit().unwrap());
        drop(second);
        assert!(admission.is_idle());
    }
}
