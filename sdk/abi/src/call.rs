//! The call context: who asks, for which app, until when.

/// The context of one call, built by the kernel and copied freely.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawCall {
    /// Size of this record as its maker knew it.
    pub size: u32,
    /// Kind of principal, numbered as `fazt_sdk::Principal`.
    pub principal_kind: u8,
    /// The app the call is for, all zero for none.
    pub app: [u8; 12],
    /// Id of the principal, zero-padded.
    pub principal: [u8; 24],
    /// The one app that the principal is limited to, all zero for no limit.
    pub principal_app: [u8; 12],
    /// Scopes of the principal, a bit each.
    pub scopes: u64,
    /// Id of the request, shown in logs and errors.
    pub request_id: u64,
    /// When the call must have ended, in nanoseconds of the host's monotonic clock; `u64::MAX` for never.
    pub deadline_ns: u64,
}
