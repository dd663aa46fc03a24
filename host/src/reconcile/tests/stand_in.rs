//! Stripe's list of events and connected accounts, in memory, and what a look needs besides.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::super::*;
use crate::domain::clock::ManualClock;
use crate::store::cursors::Mark;
use crate::store::memory::MemoryStore;
use crate::stripe::{Answer, testing};

pub(super) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Status(u16),
    Garbage,
    Timeout,
    /// The list begins anew and says that it goes on.
    Loop,
    /// The call is never answered.
    Hang,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) account: Option<String>,
    pub(super) id: String,
    pub(super) created: u64,
    /// From when on the list shows it.
    pub(super) visible: u64,
    body: String,
}

/// The list. Cloned into each core: the clone that is asked stands in [`Shared`].
#[derive(Debug, Clone)]
pub(super) struct StandIn {
    pub(super) now: Timestamp,
    pub(super) dateless: bool,
    pub(super) connected: Vec<String>,
    /// Most objects of a page, whatever is asked for.
    pub(super) page: usize,
    pub(super) entries: Vec<Entry>,
    pub(super) faults: VecDeque<Option<Fault>>,
    always: Option<Fault>,
    largest: usize,
}

impl Default for StandIn {
    fn default() -> Self {
        Self {
            now: NOW,
            dateless: false,
            connected: Vec::new(),
            page: 100,
            entries: Vec::new(),
            faults: VecDeque::new(),
            always: None,
            largest: 0,
        }
    }
}

impl StandIn {
    pub(super) fn event(&mut self, id: &str, created: u64) {
        self.put(None, id, created, created);
    }

    pub(super) fn event_of(&mut self, account: &str, id: &str, created: u64) {
        self.put(Some(account.to_owned()), id, created, created);
    }

    pub(super) fn put(&mut self, account: Option<String>, id: &str, created: u64, visible: u64) {
        let body = format!(
            r#"{{"id":"{id}",  "object":"event","created":{created},"amount":1.50,"livemode":false,
"data":{{"object":{{"id":"cus_1","object":"customer"}}}},"type":"customer.updated"}}"#
        );
        self.entries.push(Entry { account, id: id.to_owned(), created, visible, body });
    }

    pub(super) fn raw(&mut self, body: &str, created: u64) {
        let (id, body) = ("odd".to_owned(), body.to_owned());
        self.entries.push(Entry { account: None, id, created, visible: created, body });
    }

    pub(super) fn body(&self, id: &str) -> Bytes {
        let entry = self.entries.iter().find(|entry| entry.id == id).unwrap();
        Bytes::from(entry.body.clone())
    }

    /// The next call goes wrong.
    pub(super) fn fail(&mut self, fault: Fault) {
        self.fail_after(0, fault);
    }

    /// The call after `count` good ones goes wrong.
    pub(super) fn fail_after(&mut self, count: usize, fault: Fault) {
        self.faults.extend(std::iter::repeat_n(None, count));
        self.faults.push_back(Some(fault));
    }

    pub(super) fn always(&mut self, fault: Fault) {
        self.always = Some(fault);
    }

    pub(super) fn largest_answer(&self) -> usize {
        self.largest
    }

    fn answer(&mut self, authority: &Authority, call: &Call) -> Result<Option<Answer>, ApiError> {
        let fault = self.faults.pop_front().flatten().or(self.always);
        let name = authority.account().name.clone();
        let words = String::new;
        match fault {
            Some(Fault::Status(429)) => return Err(ApiError::RateLimited { after: None }),
            Some(Fault::Status(401)) => {
                return Err(ApiError::Unauthorised { account: name, message: words() });
            }
            Some(Fault::Status(403)) => {
                return Err(ApiError::Forbidden { account: name, message: words(), code: None });
            }
            Some(Fault::Status(status)) => {
                return Err(ApiError::Server { status, message: words(), after: None });
            }
            Some(Fault::Timeout) => {
                return Err(ApiError::Timeout { within: Duration::from_secs(40) });
            }
            Some(Fault::Hang) => return Ok(None),
            Some(Fault::Garbage | Fault::Loop) | None => {}
        }
        let looped = fault == Some(Fault::Loop);
        if looped && self.always.is_none() {
            // The page after it is the same one again.
            self.faults.push_front(Some(Fault::Loop));
        }
        let mut body = self.page(authority, call, looped);
        if fault == Some(Fault::Garbage) {
            body.truncate(body.len() / 2);
        }
        if looped && call.parameter("starting_after").is_some() {
            self.faults.pop_front();
        }
        let date = (!self.dateless).then_some(self.now);
        Ok(Some(Answer { request_id: None, date, body: Bytes::from(body) }))
    }

    fn page(&mut self, authority: &Authority, call: &Call, looped: bool) -> String {
        if call.path() == "/v1/accounts" {
            let ids = self.connected.iter().map(|id| format!(r#"{{"id":"{id}"}}"#));
            let data = ids.collect::<Vec<_>>().join(",");
            return format!(r#"{{"data":[{data}],"has_more":false}}"#);
        }
        assert_eq!(call.path(), "/v1/events");
        let number = |name| call.parameter(name).map(|text| text.parse::<u64>().unwrap());
        let (from, until) = (number("created[gte]"), number("created[lt]"));
        let reach = self.now.minus(HORIZON).as_secs();
        let account = authority.connected().map(|id| id.as_str());
        let mut shown: Vec<_> = self
            .entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| {
                entry.account.as_deref() == account
                    && entry.visible <= self.now.as_secs()
                    && entry.created >= reach
                    && from.is_none_or(|from| entry.created >= from)
                    && until.is_none_or(|until| entry.created < until)
            })
            .collect();
        shown.sort_by_key(|(made, entry)| std::cmp::Reverse((entry.created, *made)));
        let skip = match call.parameter("starting_after").filter(|_| !looped) {
            Some(id) => 1 + shown.iter().position(|(_, entry)| entry.id == id).unwrap(),
            None => 0,
        };
        let limit = usize::try_from(number("limit").unwrap()).unwrap().min(self.page);
        let page: Vec<_> =
            shown.iter().skip(skip).take(limit).map(|(_, entry)| entry.body.as_str()).collect();
        self.largest = self.largest.max(page.len());
        let more = looped || shown.len() > skip + limit;
        format!(r#"{{"data":[{}],"has_more":{more}}}"#, page.join(" , "))
    }
}

#[derive(Debug, Clone)]
pub(super) struct Shared(pub(super) Arc<Mutex<StandIn>>);

#[async_trait]
impl Calls for Shared {
    async fn call(&self, authority: &Authority, call: &Call) -> Result<Answer, ApiError> {
        let answered = self.0.lock().unwrap().answer(authority, call)?;
        match answered {
            Some(answer) => Ok(answer),
            None => std::future::pending().await,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Marks(Mutex<BTreeMap<String, Mark>>);

#[async_trait]
impl CursorStore for Marks {
    async fn mark(&self, name: &str) -> Result<Option<Mark>, StoreError> {
        Ok(self.0.lock().unwrap().get(name).copied())
    }

    async fn set_mark(&self, name: &str, mark: Mark) -> Result<(), StoreError> {
        self.0.lock().unwrap().insert(name.to_owned(), mark);
        Ok(())
    }

    async fn place(&self, _: &str) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    async fn set_place(&self, _: &str, _: Option<&str>) -> Result<(), StoreError> {
        Ok(())
    }
}

#[derive(Debug)]
struct OneHome(EndpointId);

impl Homes for OneHome {
    fn home(&self, _: &Authority) -> EndpointId {
        self.0
    }
}

/// One host and one account.
pub(super) struct Setup {
    pub(super) clock: Arc<ManualClock>,
    pub(super) store: Arc<MemoryStore>,
    pub(super) home: EndpointId,
    pub(super) handle: ReconcileHandle,
    /// Stripe, as the next look finds it.
    pub(super) list: StandIn,
    shared: Shared,
    marks: Arc<Marks>,
    account: Account,
    config: ReconcileConfig,
}

impl Setup {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let (store, marks) = (Arc::new(MemoryStore::default()), Arc::new(Marks::default()));
        let shared = Shared(Arc::default());
        let account = testing::account("default", "sk_test_1", "https://stripe.test");
        let home = EndpointId(uuid::Uuid::from_u128(7));
        let config = ReconcileConfig::default();
        let (_, handle) = part(&clock, &store, &marks, &shared, &account, home, &config);
        let list = StandIn::default();
        Self { clock, store, home, handle, list, shared, marks, account, config }
    }

    pub(super) fn part(&mut self) -> (Reconciler, ReconcileHandle) {
        self.publish();
        let Self { clock, store, marks, shared, account, home, config, .. } = self;
        part(clock, store, marks, shared, account, *home, config)
    }

    /// As after a restart: marks and events are there, the rest is new.
    pub(super) fn renew(&mut self) {
        self.handle = self.part().1;
    }

    pub(super) fn config(&mut self, change: impl FnOnce(&mut ReconcileConfig)) {
        change(&mut self.config);
        self.renew();
    }

    pub(super) fn connected(&mut self, connected: Connected) {
        self.account.connected = connected;
        self.renew();
    }

    pub(super) fn mark(&mut self, account: &str, upto: u64) {
        let mark = Mark { upto: Timestamp::from_secs(upto), floor: Timestamp::from_millis(0) };
        self.marks.0.lock().unwrap().insert(format!("reconcile/test/{account}"), mark);
        self.publish();
    }

    pub(super) fn upto(&self, account: &str) -> u64 {
        self.marks.0.lock().unwrap()[&format!("reconcile/test/{account}")].upto.as_secs()
    }

    pub(super) fn marks(&self) -> usize {
        self.marks.0.lock().unwrap().len()
    }

    /// Both clocks move on.
    pub(super) fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
        self.list.now = self.list.now.plus(time);
    }

    /// Let the next look find what `list` says.
    pub(super) fn publish(&mut self) {
        *self.shared.0.lock().unwrap() = self.list.clone();
    }

    pub(super) async fn look(&mut self) -> Result<Found, LookError> {
        self.look_with(Wish::default()).await
    }

    pub(super) async fn look_with(&mut self, wish: Wish) -> Result<Found, LookError> {
        self.publish();
        let looked = self.handle.look(None, wish, &|_| true).await.unwrap();
        self.list = self.shared.0.lock().unwrap().clone();
        let Looked { found, error, .. } = looked.into_iter().next().unwrap();
        error.map_or(Ok(found), Err)
    }
}

fn part(
    clock: &Arc<ManualClock>,
    store: &Arc<MemoryStore>,
    marks: &Arc<Marks>,
    shared: &Shared,
    account: &Account,
    home: EndpointId,
    config: &ReconcileConfig,
) -> (Reconciler, ReconcileHandle) {
    let deps = ReconcileDeps {
        calls: Arc::new(shared.clone()),
        accounts: Accounts::new(vec![account.clone()]).unwrap(),
        store: store.clone(),
        cursors: marks.clone(),
        routes: Routes::default(),
        homes: Arc::new(OneHome(home)),
        clock: clock.clone(),
    };
    Reconciler::new(deps, config.clone())
}
