//! The engine from outside: frames in, frames out, over a port in memory.

mod cell;

mod abuse;
mod bindings;
mod classic;
mod deploys;
mod differential;
mod frameworks;
mod modules;
mod pristine;
mod protocol;
mod streams;
