//! Routes: which requests reach a plugin.

use serde::{Deserialize, Serialize};

use crate::http::Method;

/// Where a route is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// On every app's hosts.
    App,
    /// On the node's own name (the landing page lives there).
    Node,
    /// On `admin.<domain>`, behind the owner's session or a token.
    Admin,
}

/// Who may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Those whom the surface's sign-in knows.
    SignedIn,
}

/// One route.
///
/// The pattern is a path whose segments are literal, `{name}` (one segment) or, last, `{name...}`
/// (the rest, slashes included, possibly empty). The most literal pattern wins. `/{name...}` alone
/// captures nothing: the rest is the request's path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where.
    pub surface: Surface,
    /// The method; `None` for all.
    pub method: Option<Method>,
    /// The pattern.
    pub pattern: String,
    /// Who.
    pub visibility: Visibility,
    /// The most bytes that a request's body may have; 0 stands for the node's default.
    #[serde(default)]
    pub body_bytes_max: u64,
}

impl Route {
    fn new(surface: Surface, method: Option<Method>, pattern: &str) -> Self {
        Self {
            surface,
            method,
            pattern: pattern.to_owned(),
            visibility: Visibility::SignedIn,
            body_bytes_max: 0,
        }
    }

    /// A route on every app's hosts.
    #[must_use]
    pub fn app(method: Method, pattern: &str) -> Self {
        Self::new(Surface::App, Some(method), pattern)
    }

    /// A route on every app's hosts, for all methods.
    #[must_use]
    pub fn app_any(pattern: &str) -> Self {
        Self::new(Surface::App, None, pattern)
    }

    /// A route on the node's own name.
    #[must_use]
    pub fn node(method: Method, pattern: &str) -> Self {
        Self::new(Surface::Node, Some(method), pattern)
    }

    /// A route on the admin host that is not a typed operation: an upload, a download, a page.
    #[must_use]
    pub fn admin(method: Method, pattern: &str) -> Self {
        Self::new(Surface::Admin, Some(method), pattern)
    }

    /// Everybody may pass.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.visibility = Visibility::Public;
        self
    }

    /// Bodies up to `bytes`.
    #[must_use]
    pub fn body_max(mut self, bytes: u64) -> Self {
        self.body_bytes_max = bytes;
        self
    }
}
