//! Scenarios across plugins.

mod boundary;
mod loading;
