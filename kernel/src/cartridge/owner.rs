//! Who is asking: every statement runs in the name of an owner.
//!
//! A plugin owns the tables whose name begins with its own name and an underscore. The kernel owns
//! every table that no plugin owns. The inspector (the person at the command line) reads the rows of
//! all tables but for credentials; the operator (the same person, who means it) also changes rows of
//! plugins' tables, and no schema. The kernel's tables are mirrored in memory and change by commands.

use std::{fmt, sync::Arc};

use super::error::{SqlError, SqlErrorKind};

/// The name in which a statement runs. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    name: Arc<str>,
    role: Role,
}

/// What an owner may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Role {
    Kernel,
    Operator,
    Inspector,
    Plugin,
}

impl Owner {
    /// A plugin called `name`: a lower-case ASCII letter, then at most 31 letters and digits.
    ///
    /// There is no underscore, so that a table's name tells whose it is.
    ///
    /// # Errors
    /// [`SqlErrorKind::Usage`] when the name has another form or is reserved.
    pub fn plugin(name: &str) -> Result<Self, SqlError> {
        let mut letters = name.bytes();
        let well_formed = letters.next().is_some_and(|b| b.is_ascii_lowercase())
            && letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && name.len() <= NAME_BYTES_MAX;
        if !well_formed {
            return Err(SqlError::own(
                SqlErrorKind::Usage,
                format!(
                    "`{name}` cannot own tables: a name is a lower-case letter and at most 31 letters and digits"
                ),
            ));
        }
        if RESERVED.contains(&name) {
            return Err(SqlError::own(SqlErrorKind::Usage, format!("the name `{name}` is taken")));
        }
        Ok(Self { name: name.into(), role: Role::Plugin })
    }

    /// The kernel itself.
    #[must_use]
    pub fn kernel() -> Self {
        Self { name: KERNEL.into(), role: Role::Kernel }
    }

    /// The person who owns the machine and reads, through the command line or the admin API.
    #[must_use]
    pub fn inspector() -> Self {
        Self { name: "inspector".into(), role: Role::Inspector }
    }

    /// The person who owns the machine and changes rows, through the command line or the admin API.
    #[must_use]
    pub fn operator() -> Self {
        Self { name: "operator".into(), role: Role::Operator }
    }

    /// The name: that of the plugin, `kernel`, `inspector` or `operator`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn role(&self) -> Role {
        self.role
    }

    /// Whether the name of a table begins as this owner's do. Ignores ASCII case, as SQLite does.
    pub(super) fn prefixes(&self, table: &str) -> bool {
        prefix_of(table).is_some_and(|prefix| prefix.eq_ignore_ascii_case(&self.name))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({})", self.name)
    }
}

/// What stands before the first underscore.
pub(super) fn prefix_of(table: &str) -> Option<&str> {
    table.split_once('_').map(|(prefix, _)| prefix)
}

pub(super) const KERNEL: &str = "kernel";

/// Length of the name of an owner, in bytes.
const NAME_BYTES_MAX: usize = 32;

const RESERVED: [&str; 7] = [KERNEL, "inspector", "operator", "sqlite", "pragma", "egress", "job"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_an_underscore_cannot_own_tables() {
        assert!(Owner::plugin("hosting").is_ok());
        for bad in ["", "Hosting", "a_b", "9a", "kernel", "sqlite", "a-b", "a*/b", &"a".repeat(33)]
        {
            assert!(Owner::plugin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_name_that_begins_another_does_not_reach_its_tables() {
        let js = Owner::plugin("js").expect("name");
        assert!(js.prefixes("js_script"));
        assert!(js.prefixes("JS_Script"));
        assert!(!js.prefixes("jsx_script"));
        assert!(!js.prefixes("js"));
    }
}
