//! What leaves the node and what waits in it: requests to other machines, jobs and schedules.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

mod asker;
mod bounds;
mod canaries;
mod child;
mod clerk;
mod crashes;
mod internet;
mod jobs;
mod model;
mod redirects;
mod requests;
mod rules;
mod schedules;
mod server;
