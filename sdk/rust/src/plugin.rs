//! A plugin as a value: what it is called and which receivers take which events.
//!
//! Not the crossing of the sandbox's border (`host`): the same value runs in a native test.

use crate::{Delivery, Event, Failure};

/// What [`plugin!`](crate::plugin!) makes, under the name `PLUGIN`: give it to
/// [`testing::Host`](crate::testing::Host).
#[derive(Clone, Copy, Debug)]
pub struct Plugin {
    identity: Identity,
    receivers: &'static [Receiver],
}

/// What a plugin says of itself.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    pub name: &'static str,
    pub version: &'static str,
    pub attributes: &'static [(&'static str, &'static str)],
    pub requests: &'static [(&'static str, &'static str)],
}

/// A function and the events it takes: what [`#[receiver]`](crate::receiver) says of it.
#[derive(Clone, Copy, Debug)]
pub struct Receiver {
    name: &'static str,
    provider: &'static str,
    kinds: &'static [&'static str],
    filter: Option<&'static str>,
    run: fn(&Event, &Delivery) -> Result<(), Failure>,
}

/// Implemented by [`#[receiver]`](crate::receiver), never by hand.
pub trait Receives {
    /// The function, and the events it takes.
    const RECEIVER: Receiver;
}

/// What a receiver may return: nothing, or `Result<(), E>` where `E` says by `Into<Failure>`
/// whether it asks for another attempt or gives up.
#[diagnostic::on_unimplemented(
    message = "a receiver cannot return `{Self}`",
    label = "return `Result<(), Failure>`, or nothing",
    note = "an error type of your own works where `Failure: From<YourError>` chooses between retry and reject"
)]
pub trait IntoVerdict {
    /// The verdict.
    ///
    /// # Errors
    /// The receiver's own.
    fn into_verdict(self) -> Result<(), Failure>;
}

impl IntoVerdict for () {
    fn into_verdict(self) -> Result<(), Failure> {
        Ok(())
    }
}

impl<E: Into<Failure>> IntoVerdict for Result<(), E> {
    fn into_verdict(self) -> Result<(), Failure> {
        self.map_err(Into::into)
    }
}

impl Plugin {
    /// ```compile_fail
    /// use signalbox_sdk::prelude::*;
    ///
    /// plugin! { name: "large-charges", receivers: [large, all] }
    ///
    /// #[receiver("charge.succeeded", filter = "event.data.object.amount > 100000")]
    /// fn large(_: &Event) {}
    ///
    /// #[receiver("charge.*")] // would run for large and small; `large` must not
    /// fn all(_: &Event) {}
    /// ```
    #[doc(hidden)]
    #[must_use]
    pub const fn new(identity: Identity, receivers: &'static [Receiver]) -> Self {
        let mut i = 0;
        while i < receivers.len() {
            let mut j = i + 1;
            while j < receivers.len() {
                assert!(
                    receivers[i].agrees_with(&receivers[j]),
                    "two receivers of this plugin take the same event types with different \
                     filters. The host applies filters before it starts the plugin, once for all \
                     its receivers: give both the same filter, or make two plugins of them"
                );
                j += 1;
            }
            i += 1;
        }
        Self { identity, receivers }
    }

    /// The name under which the host keeps its data.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.identity.name
    }

    /// Its version.
    #[must_use]
    pub const fn version(&self) -> &'static str {
        self.identity.version
    }

    /// What it asks the operator to grant: capability and scope.
    #[must_use]
    pub const fn requests(&self) -> &'static [(&'static str, &'static str)] {
        self.identity.requests
    }

    /// Facts and preferences: `description`, `ordering`, `concurrency`, `limit-cpu` and its like.
    #[must_use]
    pub const fn attributes(&self) -> &'static [(&'static str, &'static str)] {
        self.identity.attributes
    }

    /// Its receivers, in the order in which they run.
    #[must_use]
    pub const fn receivers(&self) -> &'static [Receiver] {
        self.receivers
    }

    /// Run each receiver that takes the event, in order, until one fails.
    ///
    /// # Errors
    /// The first failure. An event that no receiver takes is rejected: it was accepted for an
    /// older version of the plugin, and only an operator can say what is to become of it.
    pub fn handle(&self, event: &Event, delivery: &Delivery) -> Result<(), Failure> {
        let mut taken = false;
        for receiver in self.receivers.iter().filter(|receiver| receiver.takes(event)) {
            taken = true;
            (receiver.run)(event, delivery)?;
        }
        if taken {
            return Ok(());
        }
        Err(Failure::reject(format_args!(
            "no receiver of {} {} takes `{}` of `{}`",
            self.identity.name, self.identity.version, event.kind, event.provider
        )))
    }
}

impl Receiver {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(
        name: &'static str,
        provider: &'static str,
        kinds: &'static [&'static str],
        filter: Option<&'static str>,
        run: fn(&Event, &Delivery) -> Result<(), Failure>,
    ) -> Self {
        Self { name, provider, kinds, filter, run }
    }

    /// The function's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whose events it takes.
    #[must_use]
    pub const fn provider(&self) -> &'static str {
        self.provider
    }

    /// Patterns over event types.
    #[must_use]
    pub const fn kinds(&self) -> &'static [&'static str] {
        self.kinds
    }

    /// The condition the host evaluates as well.
    #[must_use]
    pub const fn filter(&self) -> Option<&'static str> {
        self.filter
    }

    /// Whether provider and type are among those it takes. The filter is the host's to apply.
    #[must_use]
    pub fn takes(&self, event: &Event) -> bool {
        self.provider == event.provider && self.kinds.iter().any(|kind| holds(kind, &event.kind))
    }

    /// Whether no event can be for one of the two alone because of a filter.
    const fn agrees_with(&self, other: &Self) -> bool {
        let same_filter = match (self.filter, other.filter) {
            (None, None) => true,
            (Some(a), Some(b)) => equal(a, b),
            _ => false,
        };
        if same_filter || !equal(self.provider, other.provider) {
            return true;
        }
        let mut i = 0;
        while i < self.kinds.len() {
            let mut j = 0;
            while j < other.kinds.len() {
                if overlap(self.kinds[i], other.kinds[j]) {
                    return false;
                }
                j += 1;
            }
            i += 1;
        }
        true
    }
}

/// Whether the pattern holds the type: the contract's `handler.subscription.kind`.
fn holds(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => kind.len() > prefix.len() && kind.starts_with(prefix),
        None => kind == pattern,
    }
}

/// Whether some type is in both patterns.
const fn overlap(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < a.len() && i < b.len() {
        if a[i] == b'*' || b[i] == b'*' {
            return true;
        }
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    a.len() == b.len()
}

const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_hold_what_the_contract_says() {
        assert!(holds("*", "a"));
        assert!(holds("customer.*", "customer.subscription.created"));
        assert!(!holds("customer.*", "customer"));
        assert!(!holds("customer.*", "customers.a"));
        assert!(holds("a.b", "a.b"));
        assert!(!holds("a.b", "a.b.c"));
    }

    #[test]
    fn patterns_overlap_where_one_type_is_in_both() {
        for (a, b) in [("*", "a"), ("a.*", "a.b"), ("a.*", "a.b.*"), ("*", "*"), ("a.b", "a.b")] {
            assert!(overlap(a, b) && overlap(b, a), "{a} {b}");
        }
        for (a, b) in [("a.b", "a.c"), ("a.*", "b.*"), ("a.*", "a"), ("a.b", "a.b.c")] {
            assert!(!overlap(a, b) && !overlap(b, a), "{a} {b}");
        }
    }
}
