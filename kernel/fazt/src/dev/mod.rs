//! What `fazt app dev` is made of: a plugin that tells pages to load again, the line that is put
//! into them, and an eye on the directory.
//!
//! The development node is an ordinary one on a cartridge that is thrown away. Pages get one line
//! more on their way there; the files of the site are not touched.

mod page;
mod plugin;
mod watch;

pub(crate) use page::with_reload;
pub(crate) use plugin::{STATE, built_in};
pub(crate) use watch::Watch;
