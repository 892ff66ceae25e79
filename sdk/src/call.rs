//! The context of a call: who asks, for which app, until when.
//!
//! The kernel builds it, once per request, task run or command; plugins pass it on. It is small
//! and `Copy`.

use std::fmt;

use fazt_abi::call::RawCall;

use crate::error::{Error, Result};
use crate::ids::AppId;

/// Who asks.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// Nobody known.
    Anonymous,
    /// The owner of the node.
    Owner,
    /// Somebody with an API key.
    Key(PrincipalId),
    /// A user of apps.
    User(PrincipalId),
    /// The node itself: a task, an event, the start.
    System,
}

/// Id of a key or a user: at most 24 bytes of ASCII.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrincipalId([u8; 24]);

impl PrincipalId {
    /// An id from its text; nothing when it is longer than 24 bytes or not printable ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let mut id = [0; 24];
        if text.is_empty()
            || text.len() > id.len()
            || !text.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return None;
        }
        id[..text.len()].copy_from_slice(text.as_bytes());
        Some(Self(id))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        std::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }
}

impl fmt::Debug for PrincipalId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What a principal may do. A key holds a set of them; the owner holds all.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Read everything but secrets.
    Read,
    /// Deploy and roll back.
    Deploy,
    /// Change apps, aliases and settings.
    Admin,
}

impl Scope {
    /// All scopes, in the order of their bits.
    pub const ALL: [Self; 3] = [Self::Read, Self::Deploy, Self::Admin];

    /// The scope's bit.
    #[must_use]
    pub const fn bit(self) -> u64 {
        match self {
            Self::Read => 1,
            Self::Deploy => 2,
            Self::Admin => 4,
        }
    }

    /// The scope's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Deploy => "deploy",
            Self::Admin => "admin",
        }
    }

    /// The scope of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// The context of one call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Call(RawCall);

impl Call {
    /// The app that the call is for.
    #[must_use]
    pub fn app(&self) -> Option<AppId> {
        AppId::from_key(self.0.app)
    }

    /// Who asks.
    #[must_use]
    pub fn principal(&self) -> Principal {
        let id = PrincipalId(self.0.principal);
        match self.0.principal_kind {
            1 => Principal::Owner,
            2 => Principal::Key(id),
            3 => Principal::User(id),
            4 => Principal::System,
            _ => Principal::Anonymous,
        }
    }

    /// The only app that the principal may touch, if it is limited to one.
    #[must_use]
    pub fn limited_to(&self) -> Option<AppId> {
        AppId::from_key(self.0.principal_app)
    }

    /// The scopes as bits of [`Scope::bit`].
    #[must_use]
    pub fn scopes(&self) -> u64 {
        self.0.scopes
    }

    /// Whether the principal holds `scope`; `Admin` includes the others.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        matches!(self.principal(), Principal::Owner | Principal::System)
            || self.0.scopes & (scope.bit() | Scope::Admin.bit()) != 0
    }

    /// Refuses a principal that is limited to another app than `app`.
    ///
    /// # Errors
    /// `Denied` when the principal may not touch `app`.
    pub fn check_app(&self, app: AppId) -> Result<()> {
        match self.limited_to() {
            Some(only) if only != app => Err(Error::denied(format!(
                "this key is for the app {only}; create one for {app} with `fazt server create-key --app`"
            ))),
            _ => Ok(()),
        }
    }

    /// Id of the request, as it appears in logs and errors.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        RequestId(self.0.request_id)
    }

    /// When the call must have ended, in nanoseconds of [`crate::host::Clock::monotonic`].
    #[must_use]
    pub fn deadline_ns(&self) -> u64 {
        self.0.deadline_ns
    }

    /// The same call on behalf of `app`.
    #[must_use]
    pub fn for_app(mut self, app: AppId) -> Self {
        self.0.app = *app.key();
        self
    }

    /// The same call by nobody known: for work of the node in which an app's own code has a say.
    #[must_use]
    pub fn without_rights(mut self) -> Self {
        self.0.principal_kind = 0;
        self.0.principal = [0; 24];
        self.0.principal_app = [0; 12];
        self.0.scopes = 0;
        self
    }

    /// The form that crosses the boundary.
    #[must_use]
    pub fn as_raw(&self) -> &RawCall {
        &self.0
    }

    /// Takes over a call that crossed the boundary. For the kernel and the export shims: a
    /// plugin has no business making calls of its own.
    #[doc(hidden)]
    #[must_use]
    pub fn from_raw(raw: &RawCall) -> Self {
        Self(*raw)
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Call")
            .field("app", &self.app())
            .field("principal", &self.principal())
            .field("request_id", &self.request_id())
            .finish_non_exhaustive()
    }
}

/// Builds calls; the kernel's tool.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct CallBuilder(RawCall);

#[doc(hidden)]
impl CallBuilder {
    #[must_use]
    pub fn new(principal: Principal, request_id: u64) -> Self {
        let (principal_kind, id) = match principal {
            Principal::Anonymous => (0, None),
            Principal::Owner => (1, None),
            Principal::Key(id) => (2, Some(id)),
            Principal::User(id) => (3, Some(id)),
            Principal::System => (4, None),
        };
        let size = u32::try_from(size_of::<RawCall>()).unwrap_or(u32::MAX);
        Self(RawCall {
            size,
            principal_kind,
            app: [0; 12],
            principal: id.map_or([0; 24], |id| id.0),
            principal_app: [0; 12],
            scopes: 0,
            request_id,
            deadline_ns: u64::MAX,
        })
    }

    #[must_use]
    pub fn app(mut self, app: Option<AppId>) -> Self {
        self.0.app = app.map_or([0; 12], |app| *app.key());
        self
    }

    #[must_use]
    pub fn scopes(mut self, scopes: u64, limited_to: Option<AppId>) -> Self {
        self.0.scopes = scopes;
        self.0.principal_app = limited_to.map_or([0; 12], |app| *app.key());
        self
    }

    #[must_use]
    pub fn deadline_ns(mut self, deadline_ns: u64) -> Self {
        self.0.deadline_ns = deadline_ns;
        self
    }

    #[must_use]
    pub fn build(self) -> Call {
        Call(self.0)
    }
}

/// Id of a request: 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u64);

impl RequestId {
    /// An id from its number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The id as a number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
