//! The contract of `wit/0.1` as Rust: generated, nothing by hand.
//!
//! Every import may trap, so that a call in `describe` or a failing store ends the guest at once.
//! Reads of `kv` wait for the store and are therefore async on the host's side; to the guest
//! every function is synchronous.

wasmtime::component::bindgen!({
    path: "../wit/0.1",
    world: "plugin",
    imports: {
        "signalbox:plugin/kv": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});
