//! Secrets of apps, for those who add them to requests outside of the app's code.

use crate::call::Call;
use crate::error::Result;
use crate::ids::AppId;
use crate::{Wire, service};

/// A secret, opened.
#[derive(Clone, PartialEq, Eq, Wire)]
pub struct AppSecret {
    /// Its value.
    pub value: String,
    /// Where it goes in a request.
    pub place: SecretPlace,
    /// The hosts that it may be sent to, `api.example.com` or `*.example.com`; every host when empty.
    pub hosts: Vec<String>,
}

/// A secret does not show itself, not even in a log of defects.
impl std::fmt::Debug for AppSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("AppSecret")
            .field("place", &self.place)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

/// Where a secret goes in a request.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub enum SecretPlace {
    /// `authorization: Bearer VALUE` (RFC 6750 §2.1).
    Bearer,
    /// `authorization: Basic VALUE`, where the value is `user:password` in clear (RFC 7617 §2).
    Basic,
    /// The value of a header field of that name.
    Header {
        /// The name.
        name: String,
    },
    /// The value of a query parameter of that name.
    Query {
        /// The name.
        name: String,
    },
}

/// The secrets of apps. Provided by whoever keeps them; the kernel asks when a request names one.
#[service("fazt.app-secrets", 1)]
pub trait AppSecrets {
    /// The secret of `app` with that name, or one of that name for all apps; nothing when there is
    /// neither.
    async fn open(&self, call: &Call, app: AppId, name: &str) -> Result<Option<AppSecret>>;
}
