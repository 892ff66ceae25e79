//! Cells: where an app's code runs, one app and one deployment each.
//!
//! A cell is a worker process, or a thread for those who trust their apps; neither knows which
//! ([`link`], [`port`]). [`cell`] holds the node's end of one: the requests inside it, its deadlines and
//! its death. [`pool`] decides which cell answers, and when there is another one.

pub(crate) mod cell;
pub(crate) mod check;
pub(crate) mod link;
pub(crate) mod meter;
pub(crate) mod pool;
pub(crate) mod port;
pub(crate) mod reply;
