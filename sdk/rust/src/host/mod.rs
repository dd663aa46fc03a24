//! The functions of the host, as the rest of the crate calls them: the real ones in a component,
//! those of [`testing`](crate::testing) in a native build.

// Generated, and not this repository's style.
#[cfg(target_arch = "wasm32")]
#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, rustdoc::all)]
#[rustfmt::skip]
pub mod bindings;
#[cfg(target_arch = "wasm32")]
pub(crate) mod guest;
#[cfg(target_arch = "wasm32")]
pub(crate) use guest::{
    config_all, config_get, kv_delete, kv_get, kv_keys, kv_set, log_write, objects_get,
    outbox_cancel, outbox_emit, outbox_http,
};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::host::{
    config_all, config_get, kv_delete, kv_get, kv_keys, kv_set, log_write, objects_get,
    outbox_cancel, outbox_emit, outbox_http,
};

/// A page of keys, and where the next one begins.
pub(crate) struct KeyPage {
    pub(crate) keys: Vec<String>,
    pub(crate) next: Option<String>,
}
