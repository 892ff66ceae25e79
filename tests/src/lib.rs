//! What the scenarios share.

pub mod fixtures;
