//! Every key of the embedded store, byte by byte: the only place that knows them.
//!
//! Not the values (`rows`) and not how they are reached (`table`). `LAYOUT.md` is the same for
//! people. All integers in keys are big-endian, so that byte order is number order.

mod object;

use crate::domain::endpoint::EndpointId;
use crate::domain::event::{EventKey, EventSeq};

pub(super) use object::{
    AMBIGUOUS, OBJECT, TOUCHED, object, objects, parse_object, parse_touched, retag, touched,
};

/// The one row of counters.
pub(super) const COUNTERS: &[u8] = b"m";

/// First byte of what an effect does.
pub(super) const ACTION: u8 = b'a';
/// First byte of a block of event records.
pub(super) const BLOCK: u8 = b'b';
/// First byte of a chunk of a value too large for one row.
pub(super) const CHUNK: u8 = b'c';
/// First byte of a dedupe record.
pub(super) const DEDUPE: u8 = b'd';
/// First byte of an endpoint.
pub(super) const ENDPOINT: u8 = b'e';
/// First byte of an effect that ended.
pub(super) const EFFECT: u8 = b'f';
/// First byte of the identifiers of a block that went.
pub(super) const GHOST: u8 = b'g';
/// First byte of a plugin's pause.
pub(super) const PAUSE: u8 = b'h';
/// First byte of a refused request.
pub(super) const REQUEST: u8 = b'j';
/// First byte of a value of a plugin's state.
pub(super) const KV: u8 = b'k';
/// First byte of a name that stands as a number in other rows.
pub(super) const NAME: u8 = b'n';
/// First byte of the unfinished deliveries of a block.
pub(super) const PENDING: u8 = b'p';
/// First byte of an unfinished delivery that was replayed.
pub(super) const AGAIN: u8 = b'r';
/// First byte of where a block begins.
pub(super) const START: u8 = b's';
/// First byte of the coarse index of event types.
pub(super) const TYPE: u8 = b't';
/// First byte of the bytes a plugin's state holds.
pub(super) const USAGE: u8 = b'u';
/// First byte of a delivery that was attempted.
pub(super) const DELIVERY: u8 = b'v';
/// First byte of an effect that is unfinished.
pub(super) const WAITING: u8 = b'w';
/// First byte of the index of dead deliveries.
pub(super) const DEAD: u8 = b'x';
/// First byte of how far something was read.
pub(super) const MARK: u8 = b'y';
/// First byte of an event that waits for the other one of its change.
pub(super) const TWIN: u8 = b'z';

/// Events per range of the type index: one key per type and range, so 244 keys of the commonest
/// type stand for a million events, and a listing by type reads at most this many events in vain.
pub(super) const TYPE_RANGE: u64 = 4096;

/// Bytes of a type that the index tells apart; longer ones share their entries and are told apart
/// by reading the events.
pub(super) const TYPE_PREFIX: usize = 256;

/// Most bytes of a provider's identifier of an event. Providers' identifiers have 30 to 60.
pub(super) const MAX_EVENT_ID: usize = 512;

/// Most bytes of a provider's name: its length is one byte of the dedupe key.
pub(super) const MAX_PROVIDER: usize = 255;

/// A plugin's name as a number, unique within one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PluginId(pub(super) u32);

/// What a numbered name is a name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum NameClass {
    /// A plugin's name.
    Plugin,
    /// The 32 bytes of a component's digest.
    Digest,
}

impl NameClass {
    const fn byte(self) -> u8 {
        match self {
            Self::Plugin => b'p',
            Self::Digest => b'd',
        }
    }
}

/// `d`, length of the provider (1), provider, identifier. `None` when either is too long.
pub(super) fn dedupe(key: &EventKey) -> Option<Vec<u8>> {
    of_event(DEDUPE, key)
}

/// `z`, as a dedupe record's: of the event that has not come. `None` when it is too long.
pub(super) fn twin(key: &EventKey) -> Option<Vec<u8>> {
    of_event(TWIN, key)
}

fn of_event(tag: u8, key: &EventKey) -> Option<Vec<u8>> {
    let provider = u8::try_from(key.provider.len()).ok()?;
    if key.id.len() > MAX_EVENT_ID {
        return None;
    }
    let mut out = Vec::with_capacity(2 + key.provider.len() + key.id.len());
    out.extend([tag, provider]);
    out.extend(key.provider.as_bytes());
    out.extend(key.id.as_bytes());
    Some(out)
}

/// `y`, name.
pub(super) fn mark(name: &str) -> Vec<u8> {
    [&[MARK], name.as_bytes()].concat()
}

/// `b`, number of the block (8). Numbers are given out ahead of use: see `accept`.
pub(super) fn block(number: u64) -> Vec<u8> {
    numbered(BLOCK, EventSeq(number))
}

/// `s`, sequence number of the block's first event (8).
pub(super) fn start(first: EventSeq) -> Vec<u8> {
    numbered(START, first)
}

/// `p`, sequence number of the block's first event (8).
pub(super) fn pending(first: EventSeq) -> Vec<u8> {
    numbered(PENDING, first)
}

/// `g`, sequence number of the first event of the block that went (8).
pub(super) fn ghost(first: EventSeq) -> Vec<u8> {
    numbered(GHOST, first)
}

/// `j`, number of the request (8).
pub(super) fn request(number: EventSeq) -> Vec<u8> {
    numbered(REQUEST, number)
}

/// `v`, sequence number of the event (8), plugin (4).
pub(super) fn delivery(seq: EventSeq, plugin: PluginId) -> Vec<u8> {
    pair(DELIVERY, seq, plugin)
}

/// `x`, sequence number of the event (8), plugin (4).
pub(super) fn dead(seq: EventSeq, plugin: PluginId) -> Vec<u8> {
    pair(DEAD, seq, plugin)
}

/// `r`, sequence number of the event (8), plugin (4).
pub(super) fn again(seq: EventSeq, plugin: PluginId) -> Vec<u8> {
    pair(AGAIN, seq, plugin)
}

/// `a`, `f` or `w`, sequence number of the event (8), plugin (4), place among the delivery's
/// effects (4).
pub(super) fn effect(tag: u8, (seq, plugin, ordinal): (EventSeq, PluginId, u32)) -> Vec<u8> {
    let mut out = pair(tag, seq, plugin);
    out.extend(ordinal.to_be_bytes());
    out
}

/// `h`, plugin (4).
pub(super) fn pause(plugin: PluginId) -> Vec<u8> {
    let mut out = vec![PAUSE];
    out.extend(plugin.0.to_be_bytes());
    out
}

/// `k`, plugin (4), the plugin's key (or a prefix of keys).
pub(super) fn kv(plugin: PluginId, key: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(5 + key.len());
    out.push(KV);
    out.extend(plugin.0.to_be_bytes());
    out.extend(key.as_bytes());
    out
}

/// `u`, plugin (4).
pub(super) fn usage(plugin: PluginId) -> Vec<u8> {
    let mut out = vec![USAGE];
    out.extend(plugin.0.to_be_bytes());
    out
}

/// `e`, UUID (16).
pub(super) fn endpoint(id: EndpointId) -> Vec<u8> {
    let mut out = vec![ENDPOINT];
    out.extend(id.0.as_bytes());
    out
}

/// `t`, sequence number divided by [`TYPE_RANGE`] (8), first [`TYPE_PREFIX`] bytes of the type.
/// The range stands first so that retention drops whole ranges.
pub(super) fn type_entry(range: u64, kind: &str) -> Vec<u8> {
    let kind = kind.as_bytes();
    let mut out = vec![TYPE];
    out.extend(range.to_be_bytes());
    out.extend(kind.get(..TYPE_PREFIX).unwrap_or(kind));
    out
}

/// The range of the type index that holds `seq`.
pub(super) const fn type_range(seq: EventSeq) -> u64 {
    seq.0 / TYPE_RANGE
}

/// `n`, class (1), number (4).
pub(super) fn name(class: NameClass, number: u32) -> Vec<u8> {
    let mut out = vec![NAME, class.byte()];
    out.extend(number.to_be_bytes());
    out
}

/// `c`, the key the value belongs to, number of the chunk (2).
pub(super) fn chunk(owner: &[u8], index: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(owner.len() + 3);
    out.push(CHUNK);
    out.extend(owner);
    out.extend(index.to_be_bytes());
    out
}

/// The sequence number in a key made by [`start`], [`pending`] or [`ghost`].
pub(super) fn parse_numbered(tag: u8, key: &[u8]) -> Option<EventSeq> {
    let (first, rest) = key.split_first()?;
    let seq = rest.try_into().ok().map(u64::from_be_bytes)?;
    (*first == tag).then_some(EventSeq(seq))
}

/// The parts of a key made by [`effect`].
pub(super) fn parse_effect(tag: u8, key: &[u8]) -> Option<(EventSeq, PluginId, u32)> {
    let (pair, ordinal) = key.split_last_chunk::<4>()?;
    let (seq, plugin) = parse_pair(tag, pair)?;
    Some((seq, plugin, u32::from_be_bytes(*ordinal)))
}

/// The plugin in a key made by [`pause`].
pub(super) fn parse_pause(key: &[u8]) -> Option<PluginId> {
    let [PAUSE, plugin @ ..] = key else { return None };
    plugin.try_into().ok().map(|plugin| PluginId(u32::from_be_bytes(plugin)))
}

/// The parts of a key made by [`delivery`], [`dead`] or [`again`].
pub(super) fn parse_pair(tag: u8, key: &[u8]) -> Option<(EventSeq, PluginId)> {
    let (first, rest) = key.split_first()?;
    let (seq, plugin) = rest.split_first_chunk::<8>()?;
    let plugin = plugin.try_into().ok().map(u32::from_be_bytes)?;
    (*first == tag).then_some((EventSeq(u64::from_be_bytes(*seq)), PluginId(plugin)))
}

/// The plugin's key in a key made by [`kv`].
pub(super) fn parse_kv(key: &[u8]) -> Option<&str> {
    let rest = key.get(5..)?;
    std::str::from_utf8(rest).ok()
}

/// The range in a key made by [`type_entry`].
pub(super) fn parse_type_entry(key: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = key.split_first()?;
    let (range, kind) = rest.split_first_chunk::<8>()?;
    (*first == TYPE).then_some((u64::from_be_bytes(*range), kind))
}

/// The class and the number in a key made by [`name`].
pub(super) fn parse_name(key: &[u8]) -> Option<(NameClass, u32)> {
    let [NAME, class, number @ ..] = key else { return None };
    let class =
        [NameClass::Plugin, NameClass::Digest].into_iter().find(|known| known.byte() == *class)?;
    Some((class, u32::from_be_bytes(number.try_into().ok()?)))
}

/// The least key above every key that starts with `prefix`; empty when there is none.
pub(super) fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            break;
        }
    }
    end
}

fn numbered(tag: u8, seq: EventSeq) -> Vec<u8> {
    let mut out = Vec::with_capacity(9);
    out.push(tag);
    out.extend(seq.0.to_be_bytes());
    out
}

fn pair(tag: u8, seq: EventSeq, plugin: PluginId) -> Vec<u8> {
    let mut out = Vec::with_capacity(13);
    out.push(tag);
    out.extend(seq.0.to_be_bytes());
    out.extend(plugin.0.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAGS: [u8; 24] = [
        OBJECT,
        TOUCHED,
        AMBIGUOUS,
        TWIN,
        COUNTERS[0],
        BLOCK,
        CHUNK,
        DEDUPE,
        ENDPOINT,
        GHOST,
        REQUEST,
        KV,
        NAME,
        PENDING,
        START,
        TYPE,
        USAGE,
        DELIVERY,
        DEAD,
        ACTION,
        EFFECT,
        WAITING,
        AGAIN,
        PAUSE,
    ];

    #[test]
    fn no_two_kinds_of_rows_share_a_first_byte() {
        let mut tags = TAGS.to_vec();
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), TAGS.len());
    }

    #[test]
    fn what_is_too_long_has_no_key() {
        let key = |provider: usize, id: usize| EventKey {
            provider: "p".repeat(provider),
            id: "i".repeat(id),
        };
        assert!(dedupe(&key(MAX_PROVIDER, MAX_EVENT_ID)).is_some());
        assert!(dedupe(&key(MAX_PROVIDER + 1, 1)).is_none());
        assert!(dedupe(&key(1, MAX_EVENT_ID + 1)).is_none());
    }

    proptest! {
        #[test]
        fn keys_read_back_and_sort_by_number(a: (u64, u32), b: (u64, u32)) {
            let pair = |(seq, plugin)| (EventSeq(seq), PluginId(plugin));
            for (tag, make) in [(DELIVERY, delivery as fn(_, _) -> _), (DEAD, dead as fn(_, _) -> _), (AGAIN, again as fn(_, _) -> _)] {
                let (x, y): (Vec<u8>, Vec<u8>) = (make(pair(a).0, pair(a).1), make(pair(b).0, pair(b).1));
                prop_assert_eq!(parse_pair(tag, &x), Some(pair(a)));
                prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            }
            for (tag, make) in [
                (START, start as fn(_) -> Vec<u8>),
                (PENDING, pending as fn(_) -> Vec<u8>),
                (GHOST, ghost as fn(_) -> Vec<u8>),
                (REQUEST, request as fn(_) -> Vec<u8>),
            ] {
                prop_assert_eq!(parse_numbered(tag, &make(EventSeq(a.0))), Some(EventSeq(a.0)));
                prop_assert_eq!(make(EventSeq(a.0)).cmp(&make(EventSeq(b.0))), a.0.cmp(&b.0));
                prop_assert_eq!(parse_numbered(b'?', &make(EventSeq(a.0))), None);
            }
            for tag in [ACTION, EFFECT, WAITING] {
                let of = |(seq, plugin): (u64, u32)| (EventSeq(seq), PluginId(plugin), plugin ^ 7);
                let (x, y) = (effect(tag, of(a)), effect(tag, of(b)));
                prop_assert_eq!(parse_effect(tag, &x), Some(of(a)));
                prop_assert_eq!(x.cmp(&y), of(a).cmp(&of(b)));
            }
            prop_assert_eq!(parse_pause(&pause(PluginId(a.1))), Some(PluginId(a.1)));
            prop_assert_eq!(block(a.0).cmp(&block(b.0)), a.0.cmp(&b.0));
            for class in [NameClass::Plugin, NameClass::Digest] {
                prop_assert_eq!(parse_name(&name(class, a.1)), Some((class, a.1)));
            }
        }

        #[test]
        fn a_plugins_keys_sort_as_text_and_stay_apart(a in ".{0,20}", b in ".{0,20}", p: u32, q: u32) {
            let (x, y) = (kv(PluginId(p), &a), kv(PluginId(p), &b));
            prop_assert_eq!(parse_kv(&x), Some(a.as_str()));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            if p != q {
                prop_assert!(!kv(PluginId(q), &b).starts_with(&kv(PluginId(p), "")));
            }
        }

        #[test]
        fn dedupe_keys_are_as_different_as_events(a: (String, String), b: (String, String)) {
            let key = |(provider, id): &(String, String)| {
                dedupe(&EventKey { provider: provider.clone(), id: id.clone() })
            };
            if let (Some(x), Some(y)) = (key(&a), key(&b)) {
                prop_assert_eq!(x == y, a == b);
            }
        }

        #[test]
        fn chunks_are_told_apart(a in prop::collection::vec(any::<u8>(), 1..9), b in prop::collection::vec(any::<u8>(), 1..9), m: u16, n: u16) {
            prop_assert_eq!(chunk(&a, m) == chunk(&b, n), a == b && m == n);
        }

        #[test]
        fn a_prefix_ends_where_it_should(prefix in prop::collection::vec(any::<u8>(), 0..5), other in prop::collection::vec(any::<u8>(), 0..7)) {
            let end = after_prefix(&prefix);
            let within = other >= prefix && (end.is_empty() || other < end);
            prop_assert_eq!(within, other.starts_with(&prefix));
        }

        #[test]
        fn type_entries_keep_their_range(range: u64, kind in ".{0,400}") {
            let key = type_entry(range, &kind);
            let cut = kind.as_bytes().get(..TYPE_PREFIX).unwrap_or(kind.as_bytes());
            prop_assert_eq!(parse_type_entry(&key), Some((range, cut)));
        }
    }
}
