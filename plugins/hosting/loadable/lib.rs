//! The hosting plugin as a loadable library.
