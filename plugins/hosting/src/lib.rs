//! Static sites: what a deploy archive may contain and how its files are found and served.
//!
//! Everything here is a pure function of its arguments, or of a reader that the caller owns: no
//! clock, no database, no socket. A deploy runs [`archive`] and [`visibility`]; a request runs
//! [`resolve`], then [`conditional`], then [`content_type`] and [`cache_policy`].

pub mod archive;
pub mod cache_policy;
pub mod conditional;
pub mod content_type;
pub mod resolve;
pub mod visibility;
