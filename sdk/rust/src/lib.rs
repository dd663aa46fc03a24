#![doc = include_str!("../README.md")]
//
// This crate is what a plugin's author sees of signalbox. It is not the host, and it holds no
// rule of its own: what an event, a failure and the key-value store mean is said in `wit/`.

mod event;
mod failure;
mod plugin;
mod reply;

pub mod config;
pub mod kv;
pub mod log;
pub mod objects;
pub mod outbox;
pub mod timer;

mod host;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use event::{Delivery, Event, ShapeError};
pub use failure::{Failure, OrFail};
pub use plugin::{IntoVerdict, Plugin, Receiver, Receives};
pub use reply::Reply;
pub use signalbox_sdk_macros::{plugin, receiver};

/// What almost every plugin needs.
pub mod prelude {
    pub use crate::{Delivery, Event, Failure, OrFail, plugin, receiver};
    pub use crate::{config, kv, objects, outbox, timer};
    pub use crate::{debug, error, info, trace, warn};
    pub use crate::{reject, retry};
}

#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// For the code that `plugin!` writes; not an interface.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::host::bindings;
    #[cfg(target_arch = "wasm32")]
    pub use crate::host::guest::{Guest, describe, handle};
    pub use crate::plugin::Identity;
}
