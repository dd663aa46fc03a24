//! Claiming: leases from the queue, events from the cache or their blocks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::clock::Timestamp;
use crate::domain::delivery::{DeliveryId, Order};
use crate::domain::event::{EventSeq, StoredEvent};
use crate::domain::plugin::PluginName;
use crate::store::{Claim, ClaimRequest, ClaimedDelivery, StoreError};

use super::error::RowError;
use super::layout::PluginId;
use super::line::Entry;
use super::queue::{DeliveryKey, Taken};
use super::shared::Shared;

/// How long a delivery whose event cannot be read stays out of the way of the others.
const DAMAGED_WAIT: Duration = Duration::from_secs(60);

/// Leases that go back if nobody takes them: a claim may be dropped half-way.
#[derive(Debug)]
struct Untaken {
    shared: Arc<Shared>,
    now: Timestamp,
    entries: Vec<(DeliveryKey, Entry)>,
}

impl Drop for Untaken {
    fn drop(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        let mut queue = self.shared.queue();
        for (key, entry) in self.entries.drain(..) {
            if let Some(lease) = entry.lease {
                queue.put_back(key, lease, entry.due, None, self.now);
            }
        }
        drop(queue);
        self.shared.work.announce();
    }
}

/// Take due deliveries with their events.
pub(super) async fn claim(shared: Arc<Shared>, request: ClaimRequest) -> Result<Claim, StoreError> {
    shared.work.begin_claim();
    let numbered = request.plugins.into_iter().filter_map(|demand| {
        let id = shared.names.find(&demand.plugin)?;
        Some((id, (demand.plugin, demand.room, demand.order)))
    });
    // In order: deliveries of one event are claimed alike in every run of a test.
    let plugins: BTreeMap<PluginId, (PluginName, usize, Order)> = numbered.collect();
    let demands = plugins.iter().map(|(id, (_, room, order))| (*id, *room, *order)).collect();
    let Taken { entries, next_due } = shared.queue().take(demands, request.limit, request.now);
    if entries.is_empty() {
        return Ok(Claim { deliveries: Vec::new(), next_due });
    }
    let mut untaken = Untaken { shared: Arc::clone(&shared), now: request.now, entries };
    let wanted = untaken.entries.iter().map(|((seq, _), _)| *seq);
    let mut events: BTreeMap<EventSeq, Arc<StoredEvent>> =
        wanted.filter_map(|seq| Some((seq, shared.cache.get(seq)?))).collect();
    let mut damage = None;
    let missing = missing_blocks(&untaken.entries, &events);
    if !missing.is_empty() {
        let shared = Arc::clone(&shared);
        let loaded = tokio::task::spawn_blocking(move || load(&shared, &missing));
        let (found, error) = loaded.await.map_err(|e| StoreError::Failed(e.to_string()))?;
        events.extend(found.into_iter().map(|event| (event.seq, event)));
        damage = error;
    }
    let mut deliveries = Vec::with_capacity(untaken.entries.len());
    let mut queue = shared.queue();
    for (key, entry) in untaken.entries.drain(..) {
        let Some(lease) = entry.lease else { continue };
        let found = events.get(&key.0).zip(plugins.get(&key.1));
        let Some((event, (plugin, _, _))) = found else {
            tracing::error!(
                event = key.0.0,
                "an event that has deliveries cannot be read; trying again in a minute"
            );
            let due = request.now.plus(DAMAGED_WAIT);
            queue.put_back(key, lease, Some(due), None, request.now);
            continue;
        };
        deliveries.push(ClaimedDelivery {
            id: DeliveryId { event: event.event.key.clone(), plugin: plugin.clone() },
            event: Arc::clone(event),
            attempt: entry.attempts.saturating_add(1),
            replay: entry.replayed.is_some(),
            since: entry.replayed.unwrap_or(event.received_at),
            lease,
        });
    }
    drop(queue);
    match damage {
        Some(e) if deliveries.is_empty() => Err(e.into()),
        _ => Ok(Claim { deliveries, next_due }),
    }
}

/// Blocks that hold events not yet at hand, each once, with those events.
fn missing_blocks(
    entries: &[(DeliveryKey, Entry)],
    events: &BTreeMap<EventSeq, Arc<StoredEvent>>,
) -> BTreeMap<EventSeq, Vec<EventSeq>> {
    let mut missing: BTreeMap<EventSeq, Vec<EventSeq>> = BTreeMap::new();
    for ((seq, _), entry) in entries {
        if !events.contains_key(seq) {
            missing.entry(entry.block).or_default().push(*seq);
        }
    }
    missing
}

type Loaded = (Vec<Arc<StoredEvent>>, Option<RowError>);

fn load(shared: &Shared, missing: &BTreeMap<EventSeq, Vec<EventSeq>>) -> Loaded {
    let (mut found, mut damage) = (Vec::new(), None);
    for (block, wanted) in missing {
        // The block's other events that still wait come along: they are claimed next.
        let waits = |seq| wanted.contains(&seq) || shared.queue().waits_for(seq);
        let loaded = shared.unpack_block(*block, waits, |event| {
            shared.cache.put(Arc::clone(&event));
            found.push(event);
        });
        if let Err(e) = loaded {
            tracing::error!(block = block.0, cause = %e, "a block of events cannot be read");
            damage = Some(e);
        }
    }
    (found, damage)
}
