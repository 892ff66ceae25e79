//! Placeholder.

pub mod clock;
pub mod edge;
