//! The microkernel of fazt: it owns the cartridge, and lends it to plugins by name.

pub mod cartridge;
pub mod clock;
