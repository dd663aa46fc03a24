//! The `outbox` import: what one delivery asks the world for.
//!
//! Nothing is done here: what is asked for is checked, numbered and kept, and travels with the
//! verdict. The store is asked of one thing alone, whether an earlier effect still waits.

mod request;

pub(in crate::plugin) use request::secret_name;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::Result;

use crate::domain::delivery::DeliveryId;
use crate::domain::effect::{Action, Cancel, EffectId, EffectRequest};
use crate::domain::grant::{Grant, allows_emit, allows_http};
use crate::domain::notice::MAX_DEPTH;
use crate::domain::plugin::Limits;
use crate::plugin::bindings::signalbox::plugin::outbox as contract;
use crate::plugin::guest::{Abandoned, Guest, Role};
use crate::plugin::limits::{BEGINS_ANEW, MAX_DELAY};
use crate::store::{StoreError, View};

/// What one delivery asked for so far.
pub(in crate::plugin) struct OutboxSession {
    store: Arc<dyn View>,
    delivery: Arc<DeliveryId>,
    /// How many events led to the one at hand.
    depth: u8,
    grants: Arc<[Grant]>,
    limits: Limits,
    effects: Vec<EffectRequest>,
    /// Of all effects.
    bytes: u64,
    /// Effects and cancels.
    operations: u32,
    cancels: Vec<Cancel>,
    cancelled: HashSet<EffectId>,
}

/// Why a call did not do what it was asked.
#[derive(Debug)]
enum Refusal {
    /// The guest is told.
    Told(contract::Refusal),
    /// The guest ends.
    Store(StoreError),
}

impl From<contract::Refusal> for Refusal {
    fn from(refusal: contract::Refusal) -> Self {
        Self::Told(refusal)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn invalid(how: impl Into<String>) -> Refusal {
    Refusal::Told(contract::Refusal::Invalid(how.into()))
}

fn not_granted(grant: String) -> Refusal {
    Refusal::Told(contract::Refusal::NotGranted(grant))
}

impl OutboxSession {
    pub(in crate::plugin) fn new(
        store: Arc<dyn View>,
        delivery: Arc<DeliveryId>,
        depth: u8,
        grants: Arc<[Grant]>,
        limits: Limits,
    ) -> Self {
        Self {
            store,
            delivery,
            depth,
            grants,
            limits,
            effects: Vec::new(),
            bytes: 0,
            operations: 0,
            cancels: Vec::new(),
            cancelled: HashSet::new(),
        }
    }

    /// What was asked for, in order, and what is to be withdrawn.
    pub(in crate::plugin) fn finish(self) -> (Vec<EffectRequest>, Vec<Cancel>) {
        (self.effects, self.cancels)
    }

    fn http(
        &mut self,
        asked: contract::HttpRequest,
        reply: Option<String>,
        delay: Option<u64>,
    ) -> Result<String, Refusal> {
        let delay = delay_of(delay)?;
        if let Some(kind) = &reply {
            request::kind(kind).map_err(invalid)?;
            self.deep_enough(delay)?;
        }
        let checked = request::check(asked).map_err(invalid)?;
        let secrets: Vec<&str> = checked.secrets.iter().map(String::as_str).collect();
        allows_http(&self.grants, &checked.request.method, &checked.url, &secrets)
            .map_err(not_granted)?;
        let request = checked.request;
        let size = request.method.len()
            + request.url.len()
            + request.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            + request.body.len()
            + reply.as_ref().map_or(0, String::len);
        self.accept(Action::Http { request, reply }, size, delay)
    }

    fn emit(
        &mut self,
        kind: String,
        content_type: String,
        body: Vec<u8>,
        delay: Option<u64>,
    ) -> Result<String, Refusal> {
        let delay = delay_of(delay)?;
        request::kind(&kind).map_err(invalid)?;
        request::content_type(&content_type).map_err(invalid)?;
        self.deep_enough(delay)?;
        allows_emit(&self.grants, &kind).map_err(not_granted)?;
        let size = kind.len() + content_type.len() + body.len();
        self.accept(Action::Emit { kind, content_type, body }, size, delay)
    }

    /// An effect that makes an event goes one deeper, and there is an end.
    fn deep_enough(&self, delay: Duration) -> Result<(), Refusal> {
        if self.depth < MAX_DEPTH || delay >= BEGINS_ANEW {
            return Ok(());
        }
        Err(invalid(format!(
            "{} events led to one another before this one, and no more may follow at once; if \
             that is no loop, delay the next by a minute or more",
            self.depth
        )))
    }

    fn begin(&mut self) -> Result<(), Refusal> {
        if self.operations >= self.limits.effects {
            return Err(contract::Refusal::Quota.into());
        }
        self.operations += 1;
        Ok(())
    }

    fn accept(&mut self, action: Action, size: usize, delay: Duration) -> Result<String, Refusal> {
        let bytes = self.bytes.saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
        if bytes > self.limits.effect_bytes {
            return Err(contract::Refusal::Quota.into());
        }
        self.begin()?;
        self.bytes = bytes;
        let ordinal = u32::try_from(self.effects.len()).unwrap_or(u32::MAX);
        let id = EffectId { delivery: DeliveryId::clone(&self.delivery), ordinal };
        let text = id.to_string();
        self.effects.push(EffectRequest { id, action, delay });
        Ok(text)
    }

    async fn cancel(&mut self, id: &str) -> Result<bool, Refusal> {
        let id: EffectId = id.parse().map_err(|error| invalid(format!("{error}")))?;
        if id.delivery.plugin != self.delivery.plugin {
            return Err(invalid(format!(
                "`{id}` is an effect of the plugin `{}`; a plugin withdraws its own alone",
                id.delivery.plugin
            )));
        }
        if id.delivery == *self.delivery {
            return Err(invalid(format!(
                "`{id}` is an effect of this very delivery; do not ask for it instead"
            )));
        }
        self.begin()?;
        // What this delivery withdrew already, or was told that it cannot, is answered alike
        // without being looked up again.
        if self.cancelled.contains(&id) {
            return Ok(false);
        }
        let waiting = self.store.waits(&id).await?;
        self.cancelled.insert(id.clone());
        self.cancels.push(Cancel { id, waiting });
        Ok(waiting)
    }
}

fn delay_of(delay: Option<u64>) -> Result<Duration, Refusal> {
    let delay = Duration::from_millis(delay.unwrap_or(0));
    if delay > MAX_DELAY {
        let most = MAX_DELAY.as_secs() / 86_400;
        return Err(invalid(format!("the delay is longer than {most} days")));
    }
    Ok(delay)
}

impl Guest {
    fn outbox(&mut self, call: &'static str) -> Result<&mut OutboxSession> {
        match &mut self.role {
            Role::Handling(handling) => Ok(&mut handling.outbox),
            Role::Describing => Err(Abandoned::InDescribe(call).into()),
        }
    }

    fn told<T>(&mut self, result: Result<T, Refusal>) -> Result<Result<T, contract::Refusal>> {
        match result {
            Ok(value) => Ok(Ok(value)),
            Err(Refusal::Told(refusal)) => Ok(Err(refusal)),
            Err(Refusal::Store(error)) => {
                self.fault = Some(format!("its effects could not be looked up: {error}"));
                Err(Abandoned::HostFault.into())
            }
        }
    }
}

impl contract::Host for Guest {
    async fn http(
        &mut self,
        request: contract::HttpRequest,
        delay: Option<u64>,
    ) -> Result<Result<String, contract::Refusal>> {
        let result = self.outbox("outbox.http")?.http(request, None, delay);
        self.told(result)
    }

    async fn emit(
        &mut self,
        kind: String,
        content_type: String,
        body: Vec<u8>,
        delay: Option<u64>,
    ) -> Result<Result<String, contract::Refusal>> {
        let result = self.outbox("outbox.emit")?.emit(kind, content_type, body, delay);
        self.told(result)
    }

    async fn http_with_reply(
        &mut self,
        request: contract::HttpRequest,
        reply_kind: String,
        delay: Option<u64>,
    ) -> Result<Result<String, contract::Refusal>> {
        let outbox = self.outbox("outbox.http-with-reply")?;
        let result = outbox.http(request, Some(reply_kind), delay);
        self.told(result)
    }

    async fn cancel(&mut self, effect_id: String) -> Result<Result<bool, contract::Refusal>> {
        let result = self.outbox("outbox.cancel")?.cancel(&effect_id).await;
        self.told(result)
    }
}
