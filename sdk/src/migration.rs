//! Migrations: numbered SQL files that only ever go forward.

use serde::{Deserialize, Serialize};

/// One step of a plugin's schema. It runs once, in one transaction, in the order of its name.
///
/// Tables are named `<plugin>_…`; the kernel refuses others. A file that was edited after it ran
/// is refused at the next start: append a new one instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// `NNNN_what`.
    pub name: String,
    /// The SQL.
    pub sql: String,
}

/// The migrations of a plugin, embedded: `migrations!("../../../migrations/visits": "0001_create")`
/// reads `../../../migrations/visits/0001_create.sql` beside this source file.
#[macro_export]
macro_rules! migrations {
    ($folder:literal : $($name:literal),* $(,)?) => {
        ::std::vec![ $( $crate::migration::Migration {
            name: ::std::string::String::from($name),
            sql: ::std::string::String::from(include_str!(concat!($folder, "/", $name, ".sql"))),
        } ),* ]
    };
}
