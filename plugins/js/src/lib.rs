//! Server code of apps.
