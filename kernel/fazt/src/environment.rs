//! What the surroundings say: the only place of this crate that reads environment variables.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the surroundings say, read once at the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// `FAZT_DB`: the cartridge, when `--db` is not given.
    pub(crate) db: Option<PathBuf>,
    /// `FAZT_TOKEN`: the key that goes with `--to`.
    pub(crate) token: Option<String>,
    /// `SSL_CERT_FILE`: certificates to trust instead of those that browsers trust.
    pub(crate) authorities: Option<PathBuf>,
    /// The home directory, which holds the default cartridge.
    pub(crate) home: Option<PathBuf>,
    /// Where nodes that run as services put their sockets.
    pub(crate) run_directory: PathBuf,
    /// `NO_COLOR` (no-color.org): headings are not bold.
    pub(crate) no_color: bool,
}

impl Environment {
    /// Reads the surroundings of this process.
    pub(crate) fn read() -> Self {
        Self {
            db: variable("FAZT_DB").map(PathBuf::from),
            token: variable("FAZT_TOKEN").and_then(|token| token.into_string().ok()),
            authorities: variable("SSL_CERT_FILE").map(PathBuf::from),
            home: variable("HOME").map(PathBuf::from),
            run_directory: PathBuf::from("/run/fazt"),
            no_color: variable("NO_COLOR").is_some(),
        }
    }
}

/// The variable, unless it is empty, which means the same as not set.
#[expect(clippy::disallowed_methods, reason = "the one reader of environment variables here")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
