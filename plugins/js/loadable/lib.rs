//! The plugin that runs apps' code as a loadable library.
fazt_sdk::export_plugin!(fazt_js::Js);
