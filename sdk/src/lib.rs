//! All that a fazt plugin depends on: one trait to implement, lists instead of magic, no I/O.
//!
//! A plugin is a type that implements [`Plugin`]: [`Plugin::manifest`] says what it contributes
//! and needs, [`Plugin::start`] wires handlers to what it said. The same source is compiled into
//! the binary or loaded from a library; the author does not see the difference.
//!
//! | To… | read |
//! |---|---|
//! | answer HTTP | [`http`], [`socket`] |
//! | keep data | [`cartridge`], [`migration`] |
//! | offer a service to other plugins, or use one | [`mod@service`], [`services`] |
//! | add a command or an admin operation | [`operation`], [`command`] |
//! | be told when something happens | [`event`] |
//! | work in the background | [`host::Tasks`] |
//!
//! # What is durable, what blocks
//! A write is on disk when its future is ready. A read blocks the calling thread for at most
//! 5 ms. Nothing else here blocks. See each method for its bounds.
#![forbid(unsafe_code)]

extern crate self as fazt_sdk;

pub mod call;
pub mod cartridge;
pub mod command;
pub mod error;
pub mod event;
pub mod export;
pub mod host;
pub mod http;
pub mod ids;
pub mod manifest;
pub mod migration;
pub mod operation;
pub mod plugin;
pub mod route;
pub mod service;
pub mod services;
pub mod setting;
pub mod socket;
pub mod spool;
pub mod wire;
pub mod workspace;

pub use error::{Error, ErrorKind, Result};
pub use event::Event;
pub use fazt_abi as abi;
pub use fazt_macros::{Event, Wire, service};
pub use ids::AppId;
pub use plugin::{Plugin, Started};
pub use serde_json::{Value as Json, json};
pub use wire::Wire;

/// A value as JSON.
///
/// # Errors
/// `Internal` when it has no JSON form.
pub fn to_json<T: serde::Serialize>(value: &T) -> Result<Json> {
    serde_json::to_value(value)
        .map_err(|error| Error::internal(format!("a value has no JSON form: {error}")))
}

/// What nearly every plugin uses.
pub mod prelude {
    pub use crate::call::{Call, Principal, Scope};
    pub use crate::cartridge::{Cartridge, Reader, Row, Transaction};
    pub use crate::command::{Argument, Column, Command};
    pub use crate::error::{Error, ErrorKind, Result};
    pub use crate::host::Host;
    pub use crate::http::{Body, Handler, Method, Request, Response};
    pub use crate::ids::AppId;
    pub use crate::manifest::{Binding, Manifest};
    pub use crate::migration::Migration;
    pub use crate::operation::{List, NoInput, Operate, Operation};
    pub use crate::plugin::{Plugin, Started};
    pub use crate::route::Route;
    pub use crate::service::{Interface, Service};
    pub use crate::setting::Setting;
    pub use crate::{Event, Wire, export_plugin, migrations, params, service};
    pub use bytes::Bytes;
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
}
