//! Patience with a node that is gone for a moment: a connection that broke, a node that restarts.

use std::time::Duration;

use crate::failure::{Exit, Failure};

/// Tries until it works, the failure is not one that time heals, or patience ends.
pub(super) async fn patiently<T>(
    attempt: impl AsyncFn() -> Result<T, Failure>,
) -> Result<T, Failure> {
    for pause in PAUSES {
        match attempt().await {
            Err(failure) if is_passing(&failure) => tokio::time::sleep(pause).await,
            other => return other,
        }
    }
    attempt().await
}

fn is_passing(failure: &Failure) -> bool {
    failure.exit == Exit::Unreachable || failure.code.as_deref() == Some("BUSY")
}

/// How long is waited between attempts: a node that restarts is back by then.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    async fn attempts(failure: Failure, works_at: usize) -> (usize, Result<(), Failure>) {
        let count = AtomicUsize::new(0);
        let result = patiently(async || {
            let number = count.fetch_add(1, Ordering::Relaxed) + 1;
            if number == works_at { Ok(()) } else { Err(failure.clone()) }
        });
        let result = result.await;
        (count.into_inner(), result)
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_time_heals_is_tried_again() {
        let gone = Failure::unreachable("gone");
        let busy = Failure { code: Some("BUSY".to_owned()), ..Failure::failed("busy") };
        assert_eq!(attempts(gone.clone(), 3).await, (3, Ok(())));
        assert_eq!(attempts(busy, 2).await, (2, Ok(())));
        assert_eq!(attempts(gone.clone(), 99).await, (6, Err(gone)));
        let refused = Failure::new(Exit::Refused, "no");
        assert_eq!(attempts(refused.clone(), 2).await, (1, Err(refused)));
    }
}
