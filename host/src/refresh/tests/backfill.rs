//! Lists into the mirror: to the end, in parts, and with what goes wrong.

use std::collections::BTreeSet;

use super::*;
use crate::domain::object::ObjectKey;
use crate::refresh::kinds;
use crate::store::cursors::CursorStore;

/// A list of customers, two to a page; the `n`th was made in the second `n`.
#[derive(Debug, Default)]
struct Lists {
    customers: Mutex<BTreeSet<u64>>,
    /// Pages until the list fails.
    left: Mutex<Option<u32>>,
    /// Quotes, which no moment bounds.
    quotes: Mutex<BTreeSet<u64>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Calls for Lists {
    async fn call(&self, authority: &Authority, call: &Call) -> Result<Answer, ApiError> {
        let number = |name| call.parameter(name).map(|text| text.parse::<u64>().unwrap());
        let (from, to) = (number("created[gte]"), number("created[lte]"));
        let asked = format!("{authority} {} {from:?} {to:?}", call.path());
        self.asked.lock().unwrap().push(asked);
        let quotes = call.path() == "/v1/quotes";
        if quotes {
            assert_eq!((from, to), (None, None), "Stripe refuses what it does not know");
        } else if call.path() != "/v1/customers" {
            let (account, message) = (authority.account().name.clone(), String::new());
            return Err(ApiError::Forbidden { account, message, code: None });
        }
        if let Some(left) = self.left.lock().unwrap().as_mut() {
            let more = left.checked_sub(1);
            *left = more.ok_or(ApiError::Timeout { within: Duration::from_secs(1) })?;
        }
        let after = call.parameter("starting_after").map(|id| id[4..].parse::<u64>().unwrap());
        let customers = if quotes { &self.quotes } else { &self.customers }.lock().unwrap();
        if let Some(gone) = after.filter(|after| !customers.contains(after)) {
            let message = format!("No such object: {gone}");
            return Err(ApiError::NotFound { message, code: None });
        }
        let mut fitting: Vec<_> = customers
            .iter()
            .rev()
            .filter(|n| from.is_none_or(|from| **n >= from) && to.is_none_or(|to| **n <= to))
            .filter(|n| after.is_none_or(|after| **n < after))
            .collect();
        let more = fitting.len() > 2;
        fitting.truncate(2);
        let object = |n| {
            let (id, kind) = if quotes { ("qts", "quote") } else { ("cus", "customer") };
            format!(r#"{{"id":"{id}_{n}","object":"{kind}","created":{n},"x":1.50}}"#)
        };
        let data: Vec<_> = fitting.into_iter().map(object).collect();
        let body = format!(r#"{{"data":[{}],"has_more":{more}}}"#, data.join(","));
        Ok(Answer { request_id: None, date: None, body: Bytes::from(body) })
    }
}

struct Filling {
    setup: Setup,
    lists: Arc<Lists>,
    backfill: Backfill,
}

fn filling() -> Filling {
    let setup = Setup::new(&["default"], None, RefreshConfig::default());
    let lists = Arc::<Lists>::default();
    lists.customers.lock().unwrap().extend(1..=7);
    lists.quotes.lock().unwrap().extend(1..=7);
    let backfill = Backfill {
        calls: lists.clone(),
        accounts: setup.core.deps.accounts.clone(),
        objects: setup.store.clone(),
        cursors: setup.store.clone(),
        clock: setup.clock.clone(),
        turn: Arc::default(),
    };
    Filling { setup, lists, backfill }
}

impl Filling {
    async fn run(&self, wish: &Wish) -> Filled {
        let mut all = self.backfill.run(wish, &|_, _| true).await;
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.lists.asked.lock().unwrap())
    }

    async fn held(&self, n: u64) -> Option<ObjectState> {
        let key = ObjectKey { account: None, ..object_key("customer", &format!("cus_{n}")) };
        ObjectStore::object(&*self.setup.store, &key).await.unwrap()
    }
}

fn customers() -> Wish {
    Wish { kinds: vec!["customer".to_owned()], ..Wish::default() }
}

#[tokio::test]
async fn a_list_is_read_to_its_end_byte_for_byte() {
    let filling = filling();
    let filled = filling.run(&customers()).await;
    assert_eq!((filled.listed, filled.held, filled.newer, filled.resumed), (7, 7, 0, false));
    assert_eq!((&filled.error, filled.account.as_str()), (&None, "default"));
    for n in 1..=7 {
        let held = filling.held(n).await.unwrap();
        assert!(held.body.ends_with(b"\"x\":1.50}") && !held.ambiguous, "{held:?}");
    }
    assert_eq!(filling.asked().len(), 4);
    // Ended: another run begins anew, and `since` bounds it.
    let wish = Wish { since: Some(Timestamp::from_secs(6)), ..customers() };
    let filled = filling.run(&wish).await;
    assert_eq!((filled.listed, filled.resumed), (2, false));
    assert_eq!(filling.asked(), ["default /v1/customers Some(6) None"]);
}

#[tokio::test]
async fn a_run_that_broke_goes_on_where_the_mirror_has_all_above() {
    let filling = filling();
    *filling.lists.left.lock().unwrap() = Some(2);
    let broken = filling.run(&customers()).await;
    assert!(broken.error.unwrap().contains("no answer"));
    assert!(filling.held(4).await.is_some() && filling.held(3).await.is_none());
    *filling.lists.left.lock().unwrap() = None;
    filling.asked();
    let filled = filling.run(&customers()).await;
    assert_eq!((filled.listed, filled.resumed, filled.error), (4, true, None));
    assert_eq!(filling.asked()[0], "default /v1/customers None Some(4)");
    assert!(filling.held(1).await.is_some());
    // A run down to a moment above where another broke begins anew, and so does one told to.
    *filling.lists.left.lock().unwrap() = Some(3);
    assert!(filling.run(&customers()).await.error.is_some());
    *filling.lists.left.lock().unwrap() = None;
    let filled = filling.run(&Wish { since: Some(Timestamp::from_secs(6)), ..customers() }).await;
    assert_eq!((filled.listed, filled.resumed), (2, false));
    *filling.lists.left.lock().unwrap() = Some(1);
    assert!(filling.run(&customers()).await.error.is_some());
    *filling.lists.left.lock().unwrap() = None;
    let filled = filling.run(&Wish { restart: true, ..customers() }).await;
    assert_eq!((filled.listed, filled.resumed), (7, false));
}

#[tokio::test]
async fn a_list_without_times_is_gone_on_with_behind_its_last_object() {
    let filling = filling();
    let quotes = || Wish { kinds: vec!["quote".to_owned()], ..Wish::default() };
    let key = |n: u64| ObjectKey { account: None, ..object_key("quote", &format!("qts_{n}")) };
    let held = async |n| ObjectStore::object(&*filling.setup.store, &key(n)).await.unwrap();
    *filling.lists.left.lock().unwrap() = Some(2);
    assert!(filling.run(&quotes()).await.error.is_some());
    assert!(held(4).await.is_some() && held(3).await.is_none());
    *filling.lists.left.lock().unwrap() = None;
    let filled = filling.run(&quotes()).await;
    assert_eq!((filled.listed, filled.held, filled.resumed, filled.error), (3, 3, true, None));
    assert!(held(1).await.is_some());
    // Ended: the next begins with the newest, whatever bound is named; and so does one told to.
    let since = Wish { since: Some(Timestamp::from_secs(6)), ..quotes() };
    assert_eq!(filling.run(&since).await.listed, 7);
    *filling.lists.left.lock().unwrap() = Some(1);
    assert!(filling.run(&quotes()).await.error.is_some());
    *filling.lists.left.lock().unwrap() = None;
    let filled = filling.run(&Wish { restart: true, ..quotes() }).await;
    assert_eq!((filled.listed, filled.resumed), (7, false));
    // Where it was is gone at Stripe.
    *filling.lists.left.lock().unwrap() = Some(2);
    assert!(filling.run(&quotes()).await.error.is_some());
    *filling.lists.left.lock().unwrap() = None;
    filling.lists.quotes.lock().unwrap().remove(&4);
    let filled = filling.run(&quotes()).await;
    assert_eq!((filled.listed, filled.resumed, filled.error), (6, false, None));
}

#[tokio::test]
async fn what_came_meanwhile_is_newer_and_stays() {
    let filling = filling();
    let mut event = state("customer", "cus_4", 9);
    event.event.account = None;
    filling.setup.accept(vec![event]).await;
    filling.setup.clock.set(START);
    let filled = filling.run(&customers()).await;
    assert_eq!((filled.held, filled.newer), (6, 1));
    assert_eq!(filling.held(4).await.unwrap().body, body("customer", "cus_4", 9));
}

#[tokio::test]
async fn kinds_an_account_has_not_are_left_out_unless_they_were_named() {
    let filling = filling();
    let all = filling.backfill.run(&Wish::default(), &|_, _| true).await;
    assert_eq!(all.len(), kinds::listed().count());
    assert!(all.iter().all(|one| one.error.is_none()));
    assert_eq!(all.iter().filter(|one| one.left_out.is_none()).count(), 2);
    let named = filling.run(&Wish { kinds: vec!["charge".to_owned()], ..Wish::default() }).await;
    assert!(named.error.is_some() && named.left_out.is_none());
}

#[tokio::test]
async fn one_that_is_told_to_stop_stops_after_a_page() {
    let filling = filling();
    let all = filling.backfill.run(&customers(), &|listed, _| listed < 2).await;
    assert_eq!((all[0].listed, all[0].error.as_deref()), (2, Some("it was stopped")));
    let mark = filling.setup.store.mark("backfill/default/live/customer").await.unwrap();
    assert_eq!(mark.unwrap().upto.as_secs(), 6);
}

#[test]
fn a_wish_that_cannot_be_done_is_refused_with_the_remedy() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _within = runtime.enter();
    let backfill = filling().backfill;
    let check = |wish: Wish| backfill.check(&wish).map_err(|error| error.to_string());
    assert_eq!(check(customers()), Ok(()));
    let kind = check(Wish { kinds: vec!["card".to_owned()], ..Wish::default() }).unwrap_err();
    assert!(kind.contains("`card`") && kind.contains("customer, product"), "{kind}");
    let account = check(Wish { account: Some("x".to_owned()), ..Wish::default() }).unwrap_err();
    assert!(account.contains("[[stripe.account]]"), "{account}");
    let kind = check(Wish { kinds: vec!["mandate".to_owned()], ..Wish::default() }).unwrap_err();
    assert!(kind.contains("Stripe has no list of them"), "{kind}");
    for kind in ["quote", "payment_link", "tax_id"] {
        assert_eq!(check(Wish { kinds: vec![kind.to_owned()], ..Wish::default() }), Ok(()));
    }
}
