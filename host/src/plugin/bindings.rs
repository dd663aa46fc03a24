//! The contract of `wit/0.1` as Rust: generated, nothing by hand.
//!
//! Every import may trap, so that a call in `describe` or a failing store ends the guest at once.
//! Reads of `kv` and `objects` and withdrawals of `outbox` wait for the store; these interfaces are
//! therefore async on the host's side. To the guest every function is synchronous.

wasmtime::component::bindgen!({
    path: "../wit/0.1",
    world: "plugin",
    imports: {
        "signalbox:plugin/kv": async | trappable,
        "signalbox:plugin/objects": async | trappable,
        "signalbox:plugin/outbox": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});
