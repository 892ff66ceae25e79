//! The engine from outside: frames in, frames out, over a port in memory.

mod cell;

mod abuse;
mod bindings;
mod classic;
mod modules;
