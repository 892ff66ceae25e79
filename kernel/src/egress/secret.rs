//! Secrets that are added to a request here, so that the app's code never holds them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fazt_sdk::call::Call;
use fazt_sdk::service::{InterfaceId, Service};
use fazt_sdk::services::app_secrets::{AppSecret, SecretPlace};
use fazt_sdk::services::{AppSecrets as _, AppSecretsApi};
use fazt_sdk::{ErrorKind, Result};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::failure;
use super::rules::Pattern;
use super::target::Target;
use crate::core::Core;
use crate::registry::service::Consumer;

/// A secret as it goes into a request.
pub(super) struct Credential {
    place: Place,
    fingerprint: [u8; 32],
}

enum Place {
    Field(HeaderName, HeaderValue),
    Query(String, String),
}

impl Credential {
    /// Asks whoever keeps the secrets of apps for the one called `name`, for a request to `target`.
    ///
    /// # Errors
    /// `Denied` with the code `NET_AUTH`: there is none, it is not for that host, or it would travel
    /// in clear.
    pub(super) async fn find(
        core: &Core,
        call: &Call,
        name: &str,
        target: &Target,
    ) -> Result<Self> {
        let Some(app) = call.app() else {
            return Err(failure::no_secret("a request of no app has no secrets"));
        };
        if !target.is_secure() {
            return Err(failure::no_secret(format!(
                "the secret {name} travels over https only, and {} would be asked over http",
                target.shown()
            )));
        }
        let id = InterfaceId::of::<AppSecretsApi>();
        let keeper = core.services.handle(&Consumer::kernel(), &id.name, id.major, &id.methods)?;
        let keeper = Service::<AppSecretsApi>::from_raw(keeper);
        let found = keeper.open(call, app, name).await.map_err(|error| match error.kind() {
            ErrorKind::Unavailable => failure::no_secret(format!(
                "nobody keeps secrets on this node right now, so there is no {name}"
            )),
            _ => error,
        })?;
        let secret = found.ok_or_else(|| {
            failure::no_secret(format!(
                "this app has no secret {name}; `fazt secret list` shows those that are there"
            ))
        })?;
        let is_meant = secret.hosts.is_empty()
            || secret
                .hosts
                .iter()
                .filter_map(|host| Pattern::parse(host).ok())
                .any(|pattern| pattern.names(target));
        if !is_meant {
            return Err(failure::no_secret(format!(
                "the secret {name} is not for {}",
                target.shown()
            )));
        }
        Self::of(name, secret)
    }

    fn of(name: &str, secret: AppSecret) -> Result<Self> {
        let unusable =
            |_| failure::no_secret(format!("the secret {name} holds what no header field can"));
        let fingerprint = Sha256::digest(secret.value.as_bytes()).into();
        let field = |value: String| -> Result<HeaderValue> {
            let mut value = HeaderValue::try_from(value).map_err(|_| unusable(()))?;
            value.set_sensitive(true);
            Ok(value)
        };
        let place = match secret.place {
            SecretPlace::Bearer => {
                Place::Field(AUTHORIZATION, field(format!("Bearer {}", secret.value))?)
            }
            SecretPlace::Basic => Place::Field(
                AUTHORIZATION,
                field(format!("Basic {}", STANDARD.encode(secret.value)))?,
            ),
            SecretPlace::Header { name } => {
                let name = HeaderName::try_from(name).map_err(|_| unusable(()))?;
                Place::Field(name, field(secret.value)?)
            }
            SecretPlace::Query { name } => Place::Query(name, secret.value),
        };
        Ok(Self { place, fingerprint })
    }

    /// Adds it to a request that is about to leave; what the app put in its place gives way.
    pub(super) fn add(&self, url: &mut Url, fields: &mut HeaderMap) {
        match &self.place {
            Place::Field(name, value) => {
                fields.insert(name.clone(), value.clone());
            }
            Place::Query(name, value) => {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
    }

    /// Tells values apart without showing them.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    #[cfg(test)]
    pub(super) fn for_test(value: &str) -> Self {
        let place = SecretPlace::Bearer;
        let secret = AppSecret { value: value.to_owned(), place, hosts: Vec::new() };
        Self::of("TEST", secret).unwrap()
    }
}
