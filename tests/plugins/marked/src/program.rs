//! A program, which is no library.

fn main() {}
