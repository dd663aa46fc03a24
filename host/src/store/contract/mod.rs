//! What every engine must do: one suite, run against each with `contract_tests!`.
//!
//! Speaks to [`Store`] alone; what is an engine's own is tested beside that engine.

pub(crate) mod accept;
pub(crate) mod deliveries;
pub(crate) mod effects;
pub(crate) mod figures;
pub(crate) mod kept;
pub(crate) mod kv;
pub(crate) mod lists;
pub(crate) mod model;
pub(crate) mod objects;
pub(crate) mod order;
pub(crate) mod replay;
pub(crate) mod retention;
pub(crate) mod twins;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use crate::domain::clock::Timestamp;
use crate::domain::delivery::{Attempt, LogLevel, LogRecord, Logs, Order, Outcome, Usage};
use crate::domain::endpoint::{EndpointId, SecretId};
use crate::domain::event::{EventKey, Header, ObjectRef, Source, VerifiedEvent};
use crate::domain::kv::{KvRead, KvWrite};
use crate::domain::plugin::{CodeDigest, PluginName};

use super::{
    Admission, ClaimRequest, ClaimedDelivery, Demand, NewEvent, Settled, Settlement, Store, Verdict,
};

/// One store that can be opened again and again.
pub(crate) trait Engine: Sized {
    /// A place for a store, empty.
    fn new() -> Self;
    /// Open the store there when the wall clock says `now`. The one opened before must be gone.
    fn open_at(&self, now: Timestamp) -> Arc<dyn Store>;
    /// Open it long after everything that happens here.
    fn open(&self) -> Arc<dyn Store> {
        self.open_at(LATE)
    }
}

/// Run the whole suite against an engine.
macro_rules! contract_tests {
    ($engine:ty: $($module:ident: $($test:ident),+;)+) => {$(
        mod $module {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    $crate::store::contract::$module::$test::<$engine>().await;
                }
            )+
        }
    )+};
    ($engine:ty) => {
        $crate::store::contract::contract_tests! { $engine:
            accept: an_event_reads_back_byte_for_byte, a_known_event_is_a_duplicate,
                duplicates_inside_one_list, sixteen_at_once_are_accepted_once,
                many_producers_lose_nothing, bodies_of_all_sizes, too_large_changes_nothing,
                endpoints_are_kept;
            deliveries: a_claim_respects_its_request, claims_are_fair_and_in_order,
                only_the_lease_settles, a_retry_waits_for_its_moment, release_leaves_no_trace,
                nothing_runs_after_reopening, history_is_bounded, dead_ends_it, work_wakes,
                closed_is_closed, one_list_settles_a_delivery_once;
            kv: increments_are_never_lost, a_phantom_is_a_conflict, only_done_writes,
                usage_follows_writes, pages_go_on, large_values_shrink_and_grow;
            lists: events_page_both_ways, events_by_type, events_by_status,
                deliveries_by_everything, an_unknown_cursor_is_told;
            order: one_object_one_after_another, nothing_overtakes_one_that_fails,
                one_that_failed_often_is_overtaken, an_order_may_change;
            replay: what_ended_runs_again, what_waits_is_hastened, a_replay_survives,
                a_newer_plugin_gets_old_events, a_replay_holds_its_block,
                a_clock_set_back_stalls_nothing;
            effects: an_effect_is_real_with_its_delivery, only_done_asks, a_try_fails_and_succeeds,
                only_the_lease_settles_an_effect, nothing_is_performed_after_reopening,
                no_plugin_takes_anothers_turn, a_guest_withdraws, an_operator_changes_effects,
                asking_again_under_the_same_identifier, an_end_leads_to_events;
            kept: effects_page_both_ways, large_effects_are_kept, unfinished_effects_hold_their_block,
                a_delay_outlives_a_clock_set_back;
            figures: the_dead_fall_into_groups, pauses_are_kept, what_waits_by_plugin,
                the_store_counts;
            objects: an_object_is_held_with_its_event, modes_and_accounts_are_apart,
                what_is_ambiguous_is_listed_until_it_is_known,
                a_fetch_wins_over_what_came_before_it, what_a_late_event_contains_is_in_doubt,
                objects_page_both_ways,
                a_long_history_pages_and_outlives_its_events, large_objects_are_kept,
                any_sequence_agrees_with_the_rules;
            twins: a_snapshot_spares_its_thin_event, a_thin_event_spares_its_snapshot,
                one_list_may_hold_both, a_pair_is_forgotten_with_its_event;
            retention: old_events_go_and_stay_known, unfinished_events_stay, by_bytes;
        }
    };
}
pub(crate) use contract_tests;

/// A moment after all others.
pub(crate) const LATE: Timestamp = Timestamp::from_secs(1_890_000_000);

/// A moment to count from.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_790_000_000);

pub(crate) fn plugin(name: &str) -> PluginName {
    name.parse().unwrap()
}

pub(crate) fn key(id: &str) -> EventKey {
    EventKey { provider: "stripe".to_owned(), id: id.to_owned() }
}

pub(crate) fn event(id: &str, plugins: &[&str]) -> NewEvent {
    let body = format!("{{\"id\":\"{id}\",\"object\":\"event\",\"type\":\"charge.succeeded\"}}");
    let event = VerifiedEvent {
        key: key(id),
        kind: "charge.succeeded".to_owned(),
        account: Some("acct_1".to_owned()),
        livemode: true,
        api_version: Some("2026-10-28.endive".to_owned()),
        request_id: None,
        occurred_at: START,
        object: Some(ObjectRef { kind: "charge".to_owned(), id: format!("ch_{id}") }),
        content_type: "application/json; charset=utf-8".to_owned(),
        body: Bytes::from(body),
        proof: vec![Header { name: "stripe-signature".to_owned(), value: b"t=1,v1=0".to_vec() }],
        secret: SecretId("0a1b2c3d".to_owned()),
    };
    NewEvent {
        event,
        endpoint: EndpointId(Uuid::from_u128(7)),
        received_at: START,
        source: Source::Webhook,
        plugins: plugins.iter().map(|name| plugin(name)).collect(),
    }
}

pub(crate) fn of_kind(mut new: NewEvent, kind: &str) -> NewEvent {
    kind.clone_into(&mut new.event.kind);
    new
}

pub(crate) async fn accept(store: &dyn Store, id: &str, plugins: &[&str]) -> Admission {
    store.accept(vec![event(id, plugins)]).await.unwrap()[0]
}

pub(crate) fn demand(name: &str, room: usize) -> Demand {
    Demand { plugin: plugin(name), room, order: Order::None }
}

pub(crate) fn request(plugins: &[&str], limit: usize, now: Timestamp) -> ClaimRequest {
    let plugins = plugins.iter().map(|name| demand(name, usize::MAX)).collect();
    ClaimRequest { plugins, limit, now }
}

pub(crate) async fn claim(store: &dyn Store, plugins: &[&str]) -> Vec<ClaimedDelivery> {
    store.claim(request(plugins, 1_000, START)).await.unwrap().deliveries
}

pub(crate) fn attempt(number: u32, outcome: Outcome) -> Attempt {
    let message = format!("attempt {number}");
    let attributes = vec![("customer".to_owned(), "cus_1".to_owned())];
    Attempt {
        number,
        started_at: START,
        digest: CodeDigest([u8::try_from(number % 3).unwrap(); 32]),
        outcome,
        reason: if outcome == Outcome::Ok { String::new() } else { "not today".to_owned() },
        usage: Usage {
            cpu: Duration::from_micros(51),
            wall: Duration::from_micros(73),
            memory: 1 << 20,
            kv_operations: 2,
        },
        logs: Logs {
            records: vec![LogRecord { level: LogLevel::Warn, message, attributes }],
            dropped: 1,
        },
    }
}

pub(crate) fn settlement(claimed: &ClaimedDelivery, verdict: Verdict) -> Settlement {
    let outcome = match verdict {
        Verdict::Done => Outcome::Ok,
        Verdict::RetryAt(_) => Outcome::Retry,
        Verdict::Dead => Outcome::Reject,
        Verdict::Release(_) => Outcome::HostFault,
    };
    Settlement {
        id: claimed.id.clone(),
        lease: claimed.lease,
        verdict,
        attempt: attempt(claimed.attempt, outcome),
        reads: Vec::new(),
        writes: Vec::new(),
        effects: Vec::new(),
        cancels: Vec::new(),
        now: START,
        then: Vec::new(),
    }
}

pub(crate) async fn settle(
    store: &dyn Store,
    claimed: &ClaimedDelivery,
    verdict: Verdict,
) -> Settled {
    store.settle(vec![settlement(claimed, verdict)]).await.unwrap()[0]
}

/// Settle as done with these reads and writes.
pub(crate) async fn done(
    store: &dyn Store,
    claimed: &ClaimedDelivery,
    reads: Vec<KvRead>,
    writes: Vec<KvWrite>,
) -> Settled {
    let settlement = Settlement { reads, writes, ..settlement(claimed, Verdict::Done) };
    store.settle(vec![settlement]).await.unwrap()[0]
}

pub(crate) fn put(key: &str, value: impl Into<Vec<u8>>) -> KvWrite {
    KvWrite::Put { key: key.to_owned(), value: value.into() }
}

/// Bytes that do not compress, the same for the same seed.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..len).map(|_| step()).collect()
}
