//! Where something is kept: the app of the call, and a space of it.

use fazt_sdk::call::Call;
use fazt_sdk::services::Space;
use fazt_sdk::{AppId, Error, Result};

/// An app and a space of it, as rows name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) id: AppId,
    /// The app's id as text.
    pub(crate) app: String,
    /// The user's id; empty for what is shared.
    pub(crate) user: String,
}

impl Place {
    pub(crate) fn of(call: &Call, space: &Space) -> Result<Self> {
        let id = app_of(call)?;
        let user = match space {
            Space::Shared => "",
            Space::User(user) if (1..=USER_BYTES_MAX).contains(&user.len()) => user,
            Space::User(_) => {
                return Err(Error::invalid(format!("a user's id has 1 to {USER_BYTES_MAX} bytes")));
            }
        };
        Ok(Self { id, app: id.to_string(), user: user.to_owned() })
    }
}

/// The app of a call.
pub(crate) fn app_of(call: &Call) -> Result<AppId> {
    call.app().ok_or_else(|| Error::invalid("data belongs to an app; this call is for none"))
}

/// The longest user id, in bytes.
const USER_BYTES_MAX: usize = 128;
