//! How the cartridge's errors appear to everybody else: one conversion, in one place.

use fazt_sdk::{Error, ErrorKind};

use crate::cartridge::{CartridgeError, SqlError, SqlErrorKind, TxError};

impl From<CartridgeError> for Error {
    fn from(error: CartridgeError) -> Self {
        let message = error.to_string();
        match error {
            CartridgeError::Tx(TxError::Sql(error)) => error.into(),
            CartridgeError::Missing { .. } => Self::not_found(message).with_code("NO_CARTRIDGE"),
            CartridgeError::Locked { .. } => Self::conflict(message).with_code("CARTRIDGE_LOCKED"),
            CartridgeError::Exists { .. } => Self::conflict(message).with_code("CARTRIDGE_EXISTS"),
            CartridgeError::NotACartridge { .. } => {
                Self::invalid(message).with_code("NOT_A_CARTRIDGE")
            }
            CartridgeError::TooNew { .. } => Self::invalid(message).with_code("CARTRIDGE_TOO_NEW"),
            CartridgeError::Pending { .. } => {
                Self::conflict(message).with_code("MIGRATION_PENDING")
            }
            CartridgeError::Migration { .. } => {
                Self::conflict(message).with_code("MIGRATION_FAILED")
            }
            CartridgeError::HardLinked { .. } => {
                Self::conflict(message).with_code("CARTRIDGE_HARD_LINKED")
            }
            CartridgeError::Busy { .. } => Self::busy(message),
            CartridgeError::WalPressure { .. } => Self::busy(message).with_code("WAL_PRESSURE"),
            CartridgeError::Full => Self::full(message),
            CartridgeError::TooLong { .. } => Self::timeout(message),
            CartridgeError::Closed | CartridgeError::Failed(_) => Self::unavailable(message),
            _ => Self::internal(message),
        }
    }
}

impl From<SqlError> for Error {
    fn from(error: SqlError) -> Self {
        let kind = match error.kind {
            SqlErrorKind::Unique | SqlErrorKind::Constraint => ErrorKind::Conflict,
            SqlErrorKind::Full => ErrorKind::Full,
            SqlErrorKind::Busy => ErrorKind::Busy,
            SqlErrorKind::Interrupted => ErrorKind::Timeout,
            SqlErrorKind::TooBig => ErrorKind::TooLarge,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, error.message)
    }
}
