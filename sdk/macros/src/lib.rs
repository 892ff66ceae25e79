//! `#[service]`, `#[derive(Wire)]` and `#[derive(Event)]`, re-exported by `fazt-sdk`.
//!
//! Each macro has a file of its own. They generate plain, safe code against the public items of
//! `fazt-sdk`; `cargo expand` shows nothing that an author could not have written.

mod event;
mod service;
mod wire;

use proc_macro::TokenStream;

/// Makes a service interface of a trait: `#[service("visits.counts", 1)]`.
///
/// The trait's methods are `async`, take `&self` and `call: &Call` first, then arguments that
/// implement `Wire` (or `&str`, `&[u8]`, `&[T]`, `&T` of them), and return `Result<T>`.
/// Beside the trait it generates `NameApi`, the key under which the interface is required,
/// provided (`NameApi::of(implementation)`) and looked up; `Service<NameApi>` implements the trait.
#[proc_macro_attribute]
pub fn service(arguments: TokenStream, item: TokenStream) -> TokenStream {
    service::expand(arguments.into(), item.into())
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// Lets a struct or an enum cross the boundary by value.
///
/// A record is written with its length, so a reader skips fields that it does not know; a field
/// under `#[wire(default)]` may be missing and is then its default. Append fields, never reorder.
#[proc_macro_derive(Wire, attributes(wire))]
pub fn derive_wire(item: TokenStream) -> TokenStream {
    wire::expand(item.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Names an event: `#[event("hosting.activated")]` on a type that is also `Wire`.
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(item: TokenStream) -> TokenStream {
    event::expand(item.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}
