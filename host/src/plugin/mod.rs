//! Stand-in: the plugin engine comes with its own change, which replaces this directory.

pub mod routes;
