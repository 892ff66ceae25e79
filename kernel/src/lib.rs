//! The microkernel of fazt: it owns the cartridge, the listener and the owner; plugins do the rest.
//!
//! Start reading at [`Kernel::boot`]. `kernel/ARCHITECTURE.md` has the map.

mod access;
mod app_data;
mod aside;
mod boot;
pub mod cartridge;
pub mod clock;
mod config;
mod control;
mod core;
mod dashboard;
mod directory;
pub mod edge;
mod egress;
mod events;
mod failure;
mod garbage;
mod host;
mod jobs;
mod maintenance;
mod peers;
mod registry;
mod routing;
mod secrets;
mod tasks;
mod telemetry;
pub mod workers;

pub use boot::{
    AdminRequest, AdminResponse, BootOptions, Connection, Kernel, Serving, manifests, restore,
    socket_path,
};
pub use cartridge::Mode;
pub use egress::{
    Dial, Dialing, Outside, Resolve, Resolving, Stream, SystemDialer, SystemResolver,
};
pub use peers::NodeAddress;
pub use registry::BuiltIn;
pub use telemetry::Level;

use core::Core;
