//! The macros of `signalbox-sdk`: `#[receiver]` and `plugin!`.
//!
//! Use them through `signalbox-sdk`, where their output's names are.

mod plugin;
mod receiver;
mod rules;

use proc_macro::TokenStream;

/// Say which events a function takes.
///
/// ```text
/// #[receiver("charge.succeeded")]
/// #[receiver("invoice.paid", "customer.subscription.*")]
/// #[receiver("charge.succeeded", filter = "event.data.object.amount > 100000")]
/// #[receiver("push", provider = "github")]
/// #[receiver("reminder.due", provider = "dunning")]              // what a plugin emits
/// #[receiver("signalbox.delivery.dead", provider = "signalbox")] // what happens in the host
/// fn name(event: &Event) -> Result<(), Failure> { ... }
/// ```
///
/// A pattern is an event type, a prefix ending in `.*`, or `*`. The provider is `stripe` unless
/// named; what a plugin emits has the plugin's name, this plugin's own included. The filter is an expression of the Common Expression Language over `event` (its `id`,
/// `kind`, `livemode`, `account` and `data`), which the host evaluates without starting the
/// plugin.
///
/// The function takes `&Event`, and `&Delivery` if it wants; it returns `Result<(), Failure>`,
/// `Result<(), E>` where `E: Into<Failure>`, or nothing. It must be listed in `plugin!`.
#[proc_macro_attribute]
pub fn receiver(events: TokenStream, function: TokenStream) -> TokenStream {
    receiver::expand(events.into(), function.into())
        .unwrap_or_else(|error| error.into_compile_error())
        .into()
}

/// Say what the plugin is, once, at the root of the crate.
///
/// ```text
/// plugin! {
///     name: "charge-counter",
///     receivers: [count_charge, refunds::on_refund],
///     description: "Counts charges per customer",   // else the package's
///     version: "1.2.0",                             // else the package's
///     ordering: "none",                             // else "object"
///     concurrency: 4,                               // else the host's choice
///     limits: { cpu: "200ms", memory: "16MiB" },    // else the operator's; never more
///     requests: [                                   // what the operator is to grant
///         http("POST https://api.example.com/notes/*"),
///         secret("API_KEY"),
///         emit("note.*"),
///     ],
/// }
/// ```
///
/// The name belongs to the plugin's data on a host: it must not change between versions.
/// Receivers run in the order of the list; the first failure ends the run and undoes it whole.
/// It makes the constant `PLUGIN` for native tests, and the exports of the component.
#[proc_macro]
pub fn plugin(fields: TokenStream) -> TokenStream {
    plugin::expand(fields.into()).unwrap_or_else(|error| error.into_compile_error()).into()
}
