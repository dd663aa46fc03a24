//! signalbox receives webhooks, proves they are genuine, makes them durable, and routes each to
//! sandboxed WebAssembly components.
//!
//! # The way of a webhook
//!
//! ```text
//! bytes                                                       module             type afterwards
//!  -> read the body within limits                             http::webhook      RawRequest
//!     verify, parse the envelope (no I/O; time is a value)    provider::stripe   VerifiedEvent
//!     TX A: dedupe, store, fold the objects it shows,         ingest             Admission -> 2xx
//!           one delivery per matching plugin
//!     claim the next due delivery                             dispatch           ClaimedDelivery
//!     run the guest, collect what it wrote                    plugin::call       Execution
//!     TX B: verdict + kv, or verdict + next attempt           dispatch::settle   Settled
//!     claim the next due effect                               outbox             ClaimedEffect
//!     send it or emit it                                      outbox::relay      Answer
//!     TX C: its end, and the event it leads to                outbox::settle     Settled
//! ```
//!
//! Each arrow is a function whose argument is the type before it: a `RawRequest` cannot reach
//! `ingest`, an `Execution` cannot reach anything but `settle`. The guest is a function
//! `(event, snapshot) -> (verdict, writes)`; while it runs it can cause nothing.
//!
//! # Layers
//!
//! A module uses only modules of lower layers; `tests` enforces it.
//!
//! ```text
//! 0  domain                                values and rules
//! 1  store, provider, net                  what is kept; what is genuine; whom a client trusts
//! 2  plugin, stripe                        the sandbox (alone knows wasmtime); Stripe's API
//! 3  registry, ingest, dispatch, outbox,
//!    replay, retention, reconcile, refresh the moving parts
//! 4  http, workbench                       what the world sees (alone knows hyper and axum);
//!                                          handlers tried out
//! 5  config, telemetry, app, cli           the wiring
//! ```

pub mod domain;

pub mod net;
pub mod provider;
pub mod store;

pub mod plugin;
pub mod stripe;

pub mod dispatch;
pub mod ingest;
pub mod outbox;
pub mod reconcile;
pub mod refresh;
pub mod registry;
pub mod replay;
pub mod retention;

pub mod http;
pub mod workbench;

pub mod app;
pub mod cli;
pub mod config;
pub mod telemetry;
