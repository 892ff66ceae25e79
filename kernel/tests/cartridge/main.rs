//! The cartridge, from outside: what a caller can rely on.

mod support;

mod writing;
