//! Rounds against answers in memory, a real store, and a clock that is set by hand.

mod backfill;
mod histories;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::*;
use crate::domain::clock::{ManualClock, Timestamp};
use crate::domain::object::ObjectState;
use crate::store::contract::START;
use crate::store::contract::objects::{TestSight, object_key, shows};
use crate::store::objects::Sight;
use crate::store::sled::{SledConfig, SledStore};
use crate::store::{NewEvent, PageRequest};
use crate::stripe::{Answer, ApiError, Authority, Call, testing};

use round::Ended;

/// Later than all events of these tests came.
const NOW: Timestamp = Timestamp::from_secs(START.as_secs() + 5_000);

/// Answers by path; keeps who asked for what.
#[derive(Debug, Default)]
struct Answers {
    by_path: Mutex<BTreeMap<String, Result<String, ApiError>>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Calls for Answers {
    async fn call(&self, authority: &Authority, call: &Call) -> Result<Answer, ApiError> {
        self.asked.lock().unwrap().push(format!("{authority} {}", call.path()));
        let answer = self.by_path.lock().unwrap().get(call.path()).cloned();
        let body = answer.unwrap_or_else(|| Err(missing()))?;
        Ok(Answer { request_id: None, date: None, body: Bytes::from(body) })
    }
}

fn missing() -> ApiError {
    ApiError::NotFound { message: "No such".to_owned(), code: Some("resource_missing".to_owned()) }
}

#[derive(Debug)]
struct OwnedBy(Option<&'static str>);

impl Owners for OwnedBy {
    fn owner(&self, _: EndpointId, livemode: bool) -> Option<String> {
        assert!(livemode);
        self.0.map(str::to_owned)
    }
}

struct Setup {
    _dir: tempfile::TempDir,
    store: Arc<SledStore>,
    answers: Arc<Answers>,
    clock: Arc<ManualClock>,
    core: Core,
    lap: Lap,
}

impl Setup {
    /// With keys named `keys`, live ones but those that begin with `trial`.
    fn new(keys: &[&str], owner: Option<&'static str>, config: RefreshConfig) -> Self {
        Self::seeing(Arc::new(TestSight), keys, owner, config)
    }

    fn seeing(
        sight: Arc<dyn Sight>,
        keys: &[&str],
        owner: Option<&'static str>,
        config: RefreshConfig,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sight = Some(sight);
        let settings = SledConfig { sight, ..SledConfig::new(dir.path().join("store")) };
        let store = SledStore::open(&settings).unwrap();
        let (answers, clock) = (Arc::<Answers>::default(), Arc::new(ManualClock::at(NOW)));
        let key = |name: &&str| {
            let mode = if name.starts_with("trial") { "test" } else { "live" };
            testing::account(name, &format!("sk_{mode}_{name}"), "https://api.stripe.com")
        };
        let deps = RefreshDeps {
            calls: answers.clone(),
            accounts: Accounts::new(keys.iter().map(key).collect()).unwrap(),
            store: store.clone(),
            objects: store.clone(),
            owners: Arc::new(OwnedBy(owner)),
            clock: clock.clone(),
        };
        let core = Core { deps, config, figures: Mutex::default() };
        Self { _dir: dir, store, answers, clock, core, lap: Lap::default() }
    }

    /// Two events of one second that show the object in two states.
    async fn unsure(&self, kind: &str, id: &str) {
        self.accept([1, 2].map(|n| state(kind, id, n)).into()).await;
    }

    async fn accept(&self, events: Vec<NewEvent>) {
        self.core.deps.store.accept(events).await.unwrap();
    }

    fn answer(&self, path: &str, answer: Result<String, ApiError>) {
        self.answers.by_path.lock().unwrap().insert(path.to_owned(), answer);
    }

    async fn round(&mut self) -> Ended {
        self.lap.round(&self.core).await
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.answers.asked.lock().unwrap())
    }

    fn figures(&self) -> Figures {
        *self.core.figures.lock().unwrap()
    }

    async fn held(&self, kind: &str, id: &str) -> ObjectState {
        let key = object_key(kind, id);
        ObjectStore::object(&*self.store, &key).await.unwrap().unwrap()
    }

    async fn left(&self) -> Vec<String> {
        let page = self.store.ambiguous(PageRequest { limit: 100, from: None }).await.unwrap();
        let id = |state: ObjectState| state.key.id;
        page.data.into_iter().map(id).collect()
    }
}

fn body(kind: &str, id: &str, n: u32) -> String {
    format!(r#"{{"id":"{id}","object":"{kind}","n": {n}}}"#)
}

fn state(kind: &str, id: &str, n: u32) -> NewEvent {
    shows(&format!("{id}_{n}"), 1, &format!(r#"{{"own":{}}}"#, body(kind, id, n)))
}

#[tokio::test]
async fn an_unsure_object_is_fetched_with_its_own_key_and_is_sure() {
    let mut setup = Setup::new(&["default", "trial"], None, RefreshConfig::default());
    setup.unsure("customer", "cus_1").await;
    assert_eq!(setup.left().await, ["cus_1"]);
    setup.answer("/v1/customers/cus_1", Ok(body("customer", "cus_1", 3)));
    let ended = setup.round().await;
    assert!(ended.error.is_none());
    assert_eq!(setup.asked(), ["default/acct_1 /v1/customers/cus_1"]);
    let held = setup.held("customer", "cus_1").await;
    assert!(!held.ambiguous && !held.deleted, "{held:?}");
    assert_eq!(held.body, body("customer", "cus_1", 3), "byte for byte");
    assert_eq!(setup.figures(), Figures { cleared: 1, ..Figures::default() });
    setup.round().await;
    assert!(setup.asked().is_empty(), "there is nothing left to ask");
}

#[tokio::test]
async fn a_fetch_that_was_overtaken_is_done_again() {
    let mut setup = Setup::new(&["default"], None, RefreshConfig::default());
    setup.unsure("customer", "cus_1").await;
    setup.answer("/v1/customers/cus_1", Ok(body("customer", "cus_1", 3)));
    // It began before its events came.
    setup.clock.set(START);
    setup.round().await;
    assert_eq!((setup.left().await.len(), setup.figures().overtaken), (1, 1));
    setup.clock.set(NOW);
    setup.round().await;
    assert_eq!((setup.left().await.len(), setup.figures().cleared), (0, 1));
}

#[tokio::test]
async fn no_key_is_guessed() {
    // Two keys could be meant.
    let mut setup = Setup::new(&["one", "two"], None, RefreshConfig::default());
    setup.unsure("customer", "cus_1").await;
    setup.round().await;
    assert!(setup.asked().is_empty());
    assert_eq!(setup.figures(), Figures { keyless: 1, ..Figures::default() });
    // The other mode's.
    let mut setup = Setup::new(&["trial"], None, RefreshConfig::default());
    setup.unsure("customer", "cus_1").await;
    setup.round().await;
    assert_eq!((setup.asked().len(), setup.figures().keyless), (0, 1));
    // The endpoint of its event says whose it is.
    let mut setup = Setup::new(&["one", "two"], Some("two"), RefreshConfig::default());
    setup.unsure("customer", "cus_1").await;
    setup.round().await;
    assert_eq!(setup.asked(), ["two/acct_1 /v1/customers/cus_1"]);
}

#[tokio::test]
async fn what_has_no_path_is_left_and_counted() {
    let mut setup = Setup::new(&["default"], None, RefreshConfig::default());
    setup.unsure("card", "card_1").await;
    setup.unsure("plan", "a/../b").await;
    setup.unsure("plan", "plan_1").await;
    setup.answer("/v1/plans/plan_1", Ok(body("plan", "plan_1", 3)));
    setup.round().await;
    assert_eq!(setup.asked(), ["default/acct_1 /v1/plans/plan_1"]);
    assert_eq!(setup.left().await, ["card_1", "a/../b"]);
    assert_eq!(setup.figures(), Figures { cleared: 1, pathless: 2, ..Figures::default() });
}

#[tokio::test]
async fn an_identifier_that_people_chose_is_fetched_whatever_it_is_made_of() {
    let mut setup = Setup::new(&["default"], None, RefreshConfig::default());
    setup.unsure("coupon", "25 % off").await;
    setup.answer("/v1/coupons/25%20%25%20off", Ok(body("coupon", "25 % off", 3)));
    setup.round().await;
    assert_eq!(setup.asked(), ["default/acct_1 /v1/coupons/25%20%25%20off"]);
    assert_eq!(setup.held("coupon", "25 % off").await.body, body("coupon", "25 % off", 3));
}

#[tokio::test]
async fn gone_is_only_what_stripe_can_lose() {
    let mut setup = Setup::new(&["default"], None, RefreshConfig::default());
    setup.unsure("charge", "ch_1").await;
    setup.unsure("product", "prod_1").await;
    setup.unsure("product", "prod_2").await;
    // Not about the object: a path that is none.
    let unknown =
        ApiError::NotFound { message: String::new(), code: Some("url_unknown".to_owned()) };
    setup.answer("/v1/products/prod_2", Err(unknown));
    setup.round().await;
    assert_eq!(setup.asked().len(), 3);
    assert_eq!(setup.left().await, ["ch_1", "prod_2"]);
    assert!(setup.held("product", "prod_1").await.deleted);
    assert!(!setup.held("charge", "ch_1").await.deleted);
    assert_eq!(setup.figures(), Figures { cleared: 1, failed: 2, ..Figures::default() });
}

#[tokio::test]
async fn one_that_fails_waits_ever_longer_and_holds_up_no_other() {
    let mut setup = Setup::new(&["default"], None, RefreshConfig::default());
    setup.unsure("charge", "ch_1").await;
    setup.unsure("charge", "ch_2").await;
    setup.answer("/v1/charges/ch_2", Ok(body("charge", "ch_2", 3)));
    // Another object than was asked for is not taken.
    setup.answer("/v1/charges/ch_1", Ok(body("charge", "ch_9", 3)));
    assert!(setup.round().await.error.is_none());
    assert_eq!(setup.asked().len(), 2);
    assert_eq!(setup.left().await, ["ch_1"]);
    let mut asked = Vec::new();
    for n in 1..=10 {
        setup.clock.advance(Duration::from_secs(30));
        setup.round().await;
        asked.extend(setup.asked().iter().map(|_| n));
    }
    assert_eq!(asked, [2, 6], "after one minute, and two more");
    setup.answer("/v1/charges/ch_1", Ok(body("charge", "ch_1", 3)));
    setup.clock.advance(Duration::from_secs(3_600));
    setup.round().await;
    assert!(setup.left().await.is_empty());
    setup.round().await;
    assert!(setup.lap.failed.is_empty(), "what is sure is forgotten");
}

#[tokio::test]
async fn an_account_in_trouble_is_asked_once_a_round() {
    let mut setup = Setup::new(&["default"], None, RefreshConfig::default());
    setup.unsure("charge", "ch_1").await;
    setup.unsure("charge", "ch_2").await;
    let busy = ApiError::RateLimited { after: Some(Duration::from_secs(90)) };
    setup.answer("/v1/charges/ch_1", Err(busy));
    setup.answer("/v1/charges/ch_2", Ok(body("charge", "ch_2", 3)));
    let ended = setup.round().await;
    assert_eq!((setup.asked().len(), ended.asked), (1, Some(Duration::from_secs(90))));
    assert!(ended.error.is_some());
    setup.answer("/v1/charges/ch_1", Ok(body("charge", "ch_1", 3)));
    assert!(setup.round().await.error.is_none());
    assert!(setup.left().await.is_empty());
}

#[tokio::test]
async fn a_round_is_bounded_and_the_next_goes_on_behind_it() {
    let config = RefreshConfig { fetched: 2, ..RefreshConfig::default() };
    let mut setup = Setup::new(&["default"], None, config);
    for n in 1..=5 {
        setup.unsure("charge", &format!("ch_{n}")).await;
        setup.answer(&format!("/v1/charges/ch_{n}"), Ok(body("charge", &format!("ch_{n}"), 3)));
    }
    for left in [3, 1, 0] {
        setup.round().await;
        assert_eq!(setup.left().await.len(), left);
    }
    // Those that cannot be fetched come first, and fill a round.
    let config = RefreshConfig { looked: 3, ..RefreshConfig::default() };
    let mut setup = Setup::new(&["default"], None, config);
    for n in 1..=3 {
        setup.unsure("card", &format!("card_{n}")).await;
    }
    setup.unsure("charge", "ch_1").await;
    setup.answer("/v1/charges/ch_1", Ok(body("charge", "ch_1", 3)));
    setup.round().await;
    assert_eq!(setup.left().await.len(), 4);
    setup.round().await;
    assert_eq!((setup.left().await.len(), setup.figures().pathless), (3, 3));
}

#[tokio::test]
async fn a_part_told_to_stop_stops() {
    let Setup { core, _dir, .. } = Setup::new(&["default"], None, RefreshConfig::default());
    let (part, handle) = Refresher::new(core.deps, core.config);
    let stop = CancellationToken::new();
    stop.cancel();
    part.run(stop).await;
    assert_eq!(handle.figures(), Figures::default());
}
