//! The hosting plugin as a loadable library.
fazt_sdk::export_plugin!(fazt_hosting::Hosting);
