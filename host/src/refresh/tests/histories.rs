//! After every history that was delivered in any order: what the mirror holds is what a full refetch
//! of every object from Stripe finds.
//!
//! Through Stripe's own events, the real store and real rounds. All has happened before the first
//! event comes, so that Stripe always answers the end of the history.

use std::collections::BTreeMap;

use super::*;
use crate::domain::event::{EventKey, Source, VerifiedEvent};
use crate::domain::mirror::histories::{
    HARDLY_TOLD, Step, TOLD, Values, histories, permutations, seconds, whole,
};
use crate::domain::object::{ObjectKey, Sighting};
use crate::provider::Provider as _;
use crate::provider::stripe::StripeProvider;

#[derive(Debug)]
struct StripesSight;

impl Sight for StripesSight {
    fn objects(&self, event: &VerifiedEvent) -> Vec<Sighting> {
        StripeProvider::default().objects(event)
    }
}

/// A kind, and how Stripe writes it.
struct Kind {
    kind: &'static str,
    collection: &'static str,
    events: &'static str,
    ends: End,
}

/// What Stripe answers about one that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// No such object.
    Missing,
    /// That it is deleted.
    Stub,
    /// What it was last, with its status.
    Status,
    /// It has none.
    Never,
}

const KINDS: [Kind; 4] = [
    Kind { kind: "customer", collection: "customers", events: "customer", ends: End::Stub },
    Kind { kind: "product", collection: "products", events: "product", ends: End::Missing },
    Kind {
        kind: "subscription",
        collection: "subscriptions",
        events: "customer.subscription",
        ends: End::Status,
    },
    Kind { kind: "charge", collection: "charges", events: "charge", ends: End::Never },
];

/// One history of one object, in one order of arrival.
struct Story {
    /// In the order in which they come.
    events: Vec<NewEvent>,
    /// Every object it shows.
    shown: Vec<(ObjectKey, String)>,
}

/// What Stripe has in the end, by path.
type Truth = BTreeMap<String, Result<String, ApiError>>;

const BEGIN: u64 = 1_795_400_000;

fn moment(second: u64) -> Timestamp {
    Timestamp::from_secs(BEGIN + second)
}

fn story(
    number: usize,
    of: &Kind,
    steps: &[Step],
    seconds: &[u64],
    order: &[usize],
    truth: &mut Truth,
) -> Story {
    let id = format!("{}_{number}", of.kind);
    // Every other one contains another object, which changes with each change.
    let inside = number.is_multiple_of(2);
    let (mut values, mut changes) = (Values::default(), 0);
    let mut made = Vec::new();
    let mut last = String::new();
    for (at, (step, second)) in steps.iter().zip(seconds).enumerate() {
        let (kind, previous) = values.step(*step);
        changes += usize::from(*step != Step::Echo);
        let Values { a, k, n, .. } = values;
        let previous = previous
            .map_or(String::new(), |previous| format!(r#","previous_attributes":{previous}"#));
        let status = if *step == Step::Delete { "canceled" } else { "active" };
        let contained = if inside {
            format!(r#","in":{{"id":"price_{number}","object":"price","n":{changes}}}"#)
        } else {
            String::new()
        };
        // Stripe's own spacing comes back byte for byte.
        let body = format!(
            r#"{{"id":"{id}","object":"{}","a": {a},"n":{n},"m":{{"k":{k}}},"status":"{status}"{contained}}}"#,
            of.kind
        );
        let event = format!(
            r#"{{"id":"evt_{number}x{at}","object":"event","type":"{}.{kind}","livemode":true,"created":{},"data":{{"object":{body}{previous}}}}}"#,
            of.events,
            moment(*second).as_secs(),
        );
        made.push(event);
        last = body;
    }
    let over = steps.last() == Some(&Step::Delete);
    let answer = match of.ends {
        End::Missing if over => Err(missing()),
        End::Stub if over => {
            Ok(format!(r#"{{"id":"{id}","object":"{}","deleted":true}}"#, of.kind))
        }
        _ => Ok(last),
    };
    let key = |kind: &str, id: &str| ObjectKey { account: None, ..object_key(kind, id) };
    let path = format!("/v1/{}/{id}", of.collection);
    let mut shown = vec![(key(of.kind, &id), path.clone())];
    truth.insert(path, answer);
    if inside {
        let (id, path) = (format!("price_{number}"), format!("/v1/prices/price_{number}"));
        let body = format!(r#"{{"id":"{id}","object":"price","n":{changes}}}"#);
        shown.push((key("price", &id), path.clone()));
        truth.insert(path, Ok(body));
    }
    let read = |at: &usize| {
        let body = Bytes::from(made[*at].clone());
        let event = StripeProvider::default().read(&body, moment(3)).unwrap();
        NewEvent {
            event,
            endpoint: EndpointId::NONE,
            received_at: moment(4),
            source: Source::Webhook,
            plugins: Vec::new(),
        }
    };
    Story { events: order.iter().map(read).collect(), shown }
}

/// All orders of histories of up to three events of every kind, and every 29th of those of four.
fn stories(truth: &mut Truth) -> Vec<Story> {
    let (mut all, mut count) = (Vec::new(), 0_usize);
    for (of, updates) in (0..=4).flat_map(|updates| [(&TOLD[..], updates), (&HARDLY_TOLD, updates)])
    {
        histories(of, updates, &mut |updates| {
            for (variant, of) in (0..4).flat_map(|variant| KINDS.iter().map(move |k| (variant, k)))
            {
                let steps = whole(updates, variant);
                let ends = steps.last() == Some(&Step::Delete);
                if steps.is_empty() || steps.len() > 4 || ends && of.ends == End::Never {
                    continue;
                }
                seconds(steps.len(), &mut |seconds| {
                    permutations(steps.len(), &mut |order| {
                        count += 1;
                        if steps.len() < 4 || count.is_multiple_of(29) {
                            let number = all.len();
                            all.push(story(number, of, &steps, seconds, order, truth));
                        }
                    });
                });
            }
        });
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_each_history_the_mirror_is_what_a_full_refetch_finds() {
    let config = RefreshConfig { fetched: usize::MAX, looked: usize::MAX, ..<_>::default() };
    let mut setup = Setup::seeing(Arc::new(StripesSight), &["default"], None, config);
    let mut truth = Truth::new();
    let stories = stories(&mut truth);
    *setup.answers.by_path.lock().unwrap() = truth.clone();
    let (mut events, mut fetched, mut overtaken) = (0, 0, 0);
    let longest = stories.iter().map(|story| story.events.len()).max().unwrap();
    // One event of each story at a time, the one before once more.
    for step in 0..longest {
        setup.clock.set(moment(5 + step as u64));
        let coming = stories.iter().flat_map(|story| {
            let again = step.checked_sub(1).and_then(|before| story.events.get(before));
            story.events.get(step).into_iter().chain(again)
        });
        let coming: Vec<NewEvent> = coming
            .map(|new| NewEvent { received_at: setup.core.deps.clock.now(), ..new.clone() })
            .collect();
        events += coming.len();
        for part in coming.chunks(1_000) {
            setup.accept(part.to_vec()).await;
        }
        // What was being fetched when they came changes nothing; but for doubts of what came before,
        // which an event that is older still has raised.
        let left = setup.store.object_figures().await.unwrap().ambiguous;
        assert!(setup.round().await.error.is_none());
        let still = setup.store.object_figures().await.unwrap().ambiguous;
        assert!(still * 10 >= left * 9, "{still} of {left}");
        overtaken += still;
        // A round before the next event, and after the last.
        setup.clock.advance(Duration::from_millis(1));
        assert!(setup.round().await.error.is_none());
        fetched += left;
        assert_eq!(setup.store.object_figures().await.unwrap().ambiguous, 0);
        setup.asked();
    }
    let figures = setup.figures();
    assert_eq!((figures.cleared, figures.overtaken), (fetched, overtaken));
    assert_eq!((figures.failed, figures.pathless, figures.keyless), (0, 0, 0));

    let (mut objects, mut gone) = (0_u64, 0_u64);
    for story in &stories {
        for (key, path) in &story.shown {
            let held = ObjectStore::object(&*setup.store, key).await.unwrap();
            let held = held.unwrap_or_else(|| panic!("{key} is not held"));
            let told = || {
                let ids: Vec<&EventKey> = story.events.iter().map(|new| &new.event.key).collect();
                format!("{key} after {ids:?}: {held:?}")
            };
            match &truth[path] {
                Ok(found) if !found.contains(r#""deleted":true"#) => {
                    assert!(!held.deleted && held.body == *found.as_bytes(), "{} {found}", told());
                }
                _ => {
                    assert!(held.deleted, "{}", told());
                    gone += 1;
                }
            }
            objects += 1;
        }
    }
    assert_eq!(setup.store.object_figures().await.unwrap().held, objects);
    println!(
        "{} histories with {events} events: {objects} objects as a full refetch finds them, {gone} of \
         them tombstones; {fetched} were fetched, {overtaken} fetches were overtaken",
        stories.len()
    );
    assert!(
        stories.len() > 10_000 && gone > 1_000 && fetched > 1_000 && overtaken * 10 >= fetched * 9
    );
}
