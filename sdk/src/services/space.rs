//! Whose data: the whole app's, or that of one of its users.

use crate::Wire;
use crate::call::{Call, Principal};
use crate::error::{Error, Result};

/// A part of an app's data. The app itself is the call's ([`Call::app`]): no argument names another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Wire)]
pub enum Space {
    /// What all visitors of the app share.
    Shared,
    /// What belongs to the user with this id.
    User(String),
}

impl Space {
    /// The space of the user who makes this call.
    ///
    /// # Errors
    /// `Unauthenticated` with the code `LOGIN_REQUIRED` when nobody is signed in; `what` names the
    /// call in the message.
    pub fn of_user(call: &Call, what: &str) -> Result<Self> {
        match call.principal() {
            Principal::User(id) => Ok(Self::User(id.as_str().to_owned())),
            _ => Err(Error::unauthenticated(format!("{what} requires login"))
                .with_code("LOGIN_REQUIRED")),
        }
    }

    /// The user's id; empty for what is shared.
    #[must_use]
    pub fn user(&self) -> &str {
        match self {
            Self::Shared => "",
            Self::User(id) => id,
        }
    }
}
