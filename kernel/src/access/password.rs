//! The owner's password: argon2id, two verifications at a time.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use fazt_sdk::{Error, Result};
use tokio::sync::Semaphore;

/// RFC 9106 §4 leaves the choice to memory and time; OWASP's minimum for argon2id: 19 MiB, 2 passes.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// Verifications that may run at a time: 38 MiB and two threads.
const VERIFICATIONS_MAX: usize = 2;

/// Bytes of a password: shorter ones are guessed, longer ones are an attack on our time.
const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 10..=1024;

/// Hashes and verifies, off the runtime's threads.
#[derive(Debug, Clone)]
pub(super) struct Passwords {
    permits: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(VERIFICATIONS_MAX)) }
    }
}

fn argon2() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None)
        .map_err(|error| Error::internal(format!("argon2 refuses its parameters: {error}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

impl Passwords {
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _permit =
            self.permits.acquire().await.map_err(|_| Error::unavailable("the node is stopping"))?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::internal(format!("hashing a password failed: {error}")))?
    }

    /// The hash of a new password, in PHC string format.
    ///
    /// # Errors
    /// `Invalid` when it is too short or too long.
    pub(super) async fn hash(&self, password: &str) -> Result<String> {
        if !PASSWORD_BYTES.contains(&password.len()) {
            return Err(Error::invalid(format!(
                "the password has {} bytes; it takes {} to {}",
                password.len(),
                PASSWORD_BYTES.start(),
                PASSWORD_BYTES.end()
            ))
            .with_code("BAD_PASSWORD"));
        }
        let password = password.to_owned();
        self.run(move || {
            argon2()?
                .hash_password(password.as_bytes())
                .map(|hash| hash.to_string())
                .map_err(|error| Error::internal(format!("hashing a password failed: {error}")))
        })
        .await
    }

    /// Whether `password` is the one behind `hash`. Without a hash the same work is done, so that
    /// time does not tell whether there is an owner.
    ///
    /// # Errors
    /// `Internal` when the stored hash is damaged.
    pub(super) async fn verify(&self, password: &str, hash: Option<String>) -> Result<bool> {
        if password.len() > *PASSWORD_BYTES.end() {
            return Ok(false);
        }
        let password = password.to_owned();
        self.run(move || {
            let Some(hash) = hash else {
                drop(argon2()?.hash_password(password.as_bytes()));
                return Ok(false);
            };
            let parsed = argon2::PasswordHash::new(&hash).map_err(|error| {
                Error::internal(format!("the stored password cannot be read: {error}"))
            })?;
            Ok(argon2()?.verify_password(password.as_bytes(), &parsed).is_ok())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_right_password_passes_and_no_other() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse", Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("correct horsf", Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("", Some(hash)).await.unwrap());
        assert!(!passwords.verify("correct horse", None).await.unwrap());
    }

    #[tokio::test]
    async fn short_and_endless_passwords_are_refused() {
        let passwords = Passwords::default();
        assert!(passwords.hash("short").await.is_err());
        assert!(passwords.hash(&"a".repeat(1025)).await.is_err());
        assert!(!passwords.verify(&"a".repeat(1 << 20), None).await.unwrap());
    }
}
