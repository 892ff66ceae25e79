//! The storage plugin as a loadable library.
fazt_sdk::export_plugin!(fazt_storage::Storage);
