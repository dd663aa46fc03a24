//! Histories whose doubts are fetched from a provider that knows the truth: what is held in the end is
//! what fetching everything anew would give.
//!
//! Time runs here as it does outside: an event happens, comes some time later, a fetch in between sees
//! what had happened by then, and the two clocks do not agree.

use super::*;

/// What a fetch of the object finds after this event; `None` where it is gone.
fn found(after: &State) -> Option<State> {
    (after.stage != Stage::Gone).then(|| State {
        event: String::new(),
        stage: Stage::Live,
        before: Before::Silent,
        packed: {
            let body = opened(&after.packed).unwrap().body;
            [body.as_ref(), b"\n"].concat().into()
        },
        ..after.clone()
    })
}

/// Whether what is held is what a fetch finds: the very bytes, or a tombstone.
pub(super) fn is_as_fetched(held: &Mirrored, truth: &State) -> bool {
    let body = |state: &State| opened(&state.packed).unwrap().body;
    let gone = truth.stage == Stage::Gone;
    held.deleted() == gone && (gone || body(held.state()) == body(truth))
}

/// Fetch what is in doubt, as a round does: an answer that was under way while the last event came
/// changes nothing, the next one settles it.
pub(super) fn settle(held: &mut Mirrored, truth: &State) {
    if held.ambiguous {
        let before = held.clone();
        assert_eq!(held.fetched(held.arrived_at, found(truth)), FetchEnd::Overtaken);
        assert_eq!(*held, before, "an answer that may be older changed something");
        let later = held.arrived_at.plus(Duration::from_millis(1));
        assert_eq!(held.fetched(later, found(truth)), FetchEnd::Held);
    }
    assert!(!held.ambiguous);
    assert!(is_as_fetched(held, truth), "{held:#?}\nis not {truth:#?}");
}

/// What happens, in order of time by the provider's clock (milliseconds).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Comes(usize),
    /// Asked for and, some time later, answered.
    Fetch {
        seen: u64,
        only_doubt: bool,
    },
}

#[test]
fn fetches_amid_a_history_never_leave_another_state_than_a_fetch_of_everything() {
    let seed: u64 = 0x7265_6665_7463_6821;
    println!("seed {seed:#x}");
    let mut random = seed;
    let mut below = |most: u64| {
        random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = random;
        drawn = (drawn ^ drawn >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ drawn >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (drawn ^ drawn >> 31) % most
    };
    const BEGIN: u64 = 1_000_000;
    let (mut fetches, mut held_fetches, mut closing) = (0, 0, 0);
    let runs = 400_000;
    let of = [&TOLD[..], &HARDLY_TOLD].concat();
    for run in 0..runs {
        let length = 1 + below(7) as usize;
        let variant = below(4) as u8;
        let ends = usize::from(variant & 1) + usize::from(variant >> 1 & 1);
        let updates = length.saturating_sub(ends).max(usize::from(ends == 0));
        let updates: Vec<Step> =
            (0..updates).map(|_| of[below(of.len() as u64) as usize]).collect();
        let steps = whole(&updates, variant);
        // Up to a second, or up to ten.
        let spread = [900, 3_000, 10_000][below(3) as usize];
        let mut happened: Vec<u64> = (0..steps.len()).map(|_| BEGIN + below(spread)).collect();
        happened.sort_unstable();
        let mut events = events(&steps, &vec![0; steps.len()]);
        // How far the host's clock is from the provider's, within what is allowed for.
        let skew = below(8_000);
        let host = |provider: u64| Timestamp::from_millis(provider + skew - 4_000);
        let late = [500, 5_000, 20_000][below(3) as usize];
        let mut moments = Vec::new();
        for (at, event) in events.iter_mut().enumerate() {
            event.as_of = Timestamp::from_secs(happened[at] / 1_000);
            // What comes again is known by its name and never gets here (`store`).
            moments.push((happened[at] + below(late), Moment::Comes(at)));
        }
        for _ in 0..below(4) {
            let seen = BEGIN + below(spread + late);
            let fetch = Moment::Fetch { seen, only_doubt: below(2) == 0 };
            moments.push((seen + below(1_500), fetch));
        }
        moments.sort_unstable();
        let story = format!("run {run}, {steps:?} at {happened:?}, {moments:?}, skew {skew}");

        let mut held: Option<Mirrored> = None;
        for (now, moment) in moments {
            match moment {
                Moment::Comes(at) => {
                    let event = State { received_at: host(now), ..events[at].clone() };
                    match &mut held {
                        None => held = Some(Mirrored::begin(event)),
                        Some(held) => drop(held.fold(event, &opened)),
                    }
                }
                Moment::Fetch { seen, only_doubt } => {
                    let by_then = happened.iter().filter(|at| **at <= seen).count();
                    let (Some(held), Some(last)) = (&mut held, by_then.checked_sub(1)) else {
                        continue;
                    };
                    if held.ambiguous || !only_doubt {
                        fetches += 1;
                        let end = held.fetched(host(seen), found(&events[last]));
                        held_fetches += u64::from(end == FetchEnd::Held);
                    }
                }
            }
        }
        let (mut held, truth) = (held.unwrap(), events.last().unwrap());
        if held.ambiguous {
            closing += 1;
            let later = held.arrived_at.plus(Duration::from_millis(1));
            assert_eq!(held.fetched(later, found(truth)), FetchEnd::Held);
        }
        assert!(!held.ambiguous && is_as_fetched(&held, truth), "{story}\n{held:#?}\n{truth:#?}");
    }
    println!(
        "{runs} histories, {fetches} fetches amid them ({held_fetches} held), {closing} with one at \
         their end"
    );
}
