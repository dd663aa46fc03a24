//! Transaction A.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::endpoint::{
    AtProvider, Endpoint, EndpointId, EndpointStatus, Origin, Secret, Validation,
};
use crate::domain::event::{Header, StoredEvent};

use super::super::{EventQuery, PageRequest, StoreError};
use super::*;

pub(crate) async fn an_event_reads_back_byte_for_byte<E: Engine>() {
    let engine = E::new();
    let store = engine.open();
    let mut new = event("evt_1", &["a"]);
    let hex = "5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd";
    let values: [&[u8]; 7] = [
        format!("t=1790000000,v1={hex},v0={hex}0,v1={}", hex.to_uppercase())
            .as_bytes()
            .to_vec()
            .leak(),
        b"",
        b"\xff\x00 not text",
        b"abcdef0123456789abcdef0123456789a",
        b"0123456789abcdef0123456789abcdef",
        b"x0123456789abcdef0123456789abcdefX0123456789abcdef0123456789abcdeg",
        b"short: abc",
    ];
    new.event.proof = values
        .iter()
        .map(|value| Header { name: "stripe-signature".to_owned(), value: value.to_vec() })
        .collect();
    new.event.body = Bytes::from_static(b"{\"a\": \"\\u0000 \xc3\xa4\"}\r\n");
    new.received_at = START.plus(Duration::from_millis(7));
    let Admission::Accepted(seq) = store.accept(vec![new.clone()]).await.unwrap()[0] else {
        panic!("not new");
    };
    let expected = StoredEvent {
        seq,
        endpoint: new.endpoint,
        received_at: new.received_at,
        source: new.source,
        event: new.event.clone(),
    };
    let claimed = claim(&*store, &["a"]).await;
    assert_eq!(*claimed[0].event, expected);
    drop(store);
    let store = engine.open();
    assert_eq!(*store.event(&key("evt_1")).await.unwrap().unwrap(), expected);
    assert_eq!(*claim(&*store, &["a"]).await[0].event, expected);
    assert!(store.event(&key("evt_2")).await.unwrap().is_none());
}

pub(crate) async fn a_known_event_is_a_duplicate<E: Engine>() {
    let engine = E::new();
    let store = engine.open();
    let Admission::Accepted(seq) = accept(&*store, "evt_1", &["a"]).await else {
        panic!("not new")
    };
    assert_eq!(accept(&*store, "evt_1", &["a", "b"]).await, Admission::Duplicate(seq));
    drop(store);
    let store = engine.open();
    assert_eq!(accept(&*store, "evt_1", &["b"]).await, Admission::Duplicate(seq));
    assert_eq!(claim(&*store, &["a", "b"]).await.len(), 1, "a duplicate adds no delivery");
    let mut other = event("evt_1", &[]);
    other.event.key.provider = "github".to_owned();
    let other = store.accept(vec![other]).await.unwrap()[0];
    assert!(matches!(other, Admission::Accepted(new) if new > seq), "{other:?}");
}

pub(crate) async fn duplicates_inside_one_list<E: Engine>() {
    let store = E::new().open();
    let list = ["x", "y", "x", "x", "y"].map(|id| event(id, &["a"])).to_vec();
    let answers = store.accept(list).await.unwrap();
    let [Admission::Accepted(x), Admission::Accepted(y), rest @ ..] = &answers[..] else {
        panic!("{answers:?}");
    };
    let again = [Admission::Duplicate(*x), Admission::Duplicate(*x), Admission::Duplicate(*y)];
    assert_eq!(rest, again);
    assert_eq!(claim(&*store, &["a"]).await.len(), 2);
    assert_eq!(store.accept(Vec::new()).await.unwrap(), []);
}

pub(crate) async fn sixteen_at_once_are_accepted_once<E: Engine>() {
    let store = E::new().open();
    for round in 0..20 {
        let id = format!("evt_{round}");
        let posts = (0..16).map(|_| {
            let (store, id) = (Arc::clone(&store), id.clone());
            tokio::spawn(async move { accept(&*store, &id, &["a"]).await })
        });
        let mut accepted = Vec::new();
        for post in posts.collect::<Vec<_>>() {
            accepted.push(post.await.unwrap());
        }
        let new = accepted.iter().filter(|a| matches!(a, Admission::Accepted(_))).count();
        assert_eq!(new, 1, "{accepted:?}");
    }
    assert_eq!(claim(&*store, &["a"]).await.len(), 20);
}

pub(crate) async fn many_producers_lose_nothing<E: Engine>() {
    let engine = E::new();
    let store = engine.open();
    let producers = (0..64).map(|producer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut seqs = Vec::new();
            for n in 0..20 {
                match accept(&*store, &format!("evt_{producer}_{n}"), &["a", "b"]).await {
                    Admission::Accepted(seq) => seqs.push(seq),
                    Admission::Duplicate(seq) => panic!("{seq:?} is no duplicate"),
                }
            }
            assert!(seqs.is_sorted(), "later events have larger numbers");
            seqs
        })
    });
    let mut seqs = BTreeSet::new();
    for producer in producers.collect::<Vec<_>>() {
        seqs.extend(producer.await.unwrap());
    }
    assert_eq!(seqs.len(), 64 * 20);
    drop(store);
    let store = engine.open();
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.events, stats.waiting), (1_280, 2_560));
    assert_eq!(stats.oldest_waiting, Some(START));
    assert!(stats.disk_bytes > 0);
    let all = store.claim(request(&["a", "b"], 10_000, START)).await.unwrap().deliveries;
    let claimed: BTreeSet<_> = all.iter().map(|delivery| delivery.event.seq).collect();
    assert_eq!((claimed, all.len()), (seqs, 2_560));
}

pub(crate) async fn bodies_of_all_sizes<E: Engine>() {
    let engine = E::new();
    let sizes = [0, 1, 100, 60_000, 65_535, 65_536, 131_073, 1 << 20];
    let body = |size: usize, noisy: bool| {
        if noisy { noise(size, size as u64) } else { vec![b'x'; size] }
    };
    let store = engine.open();
    for (at, size) in sizes.into_iter().enumerate() {
        for noisy in [true, false] {
            let mut new = event(&format!("evt_{at}_{noisy}"), &["a"]);
            new.event.body = body(size, noisy).into();
            store.accept(vec![new, event(&format!("small_{at}_{noisy}"), &[])]).await.unwrap();
        }
    }
    drop(store);
    let store = engine.open();
    for (at, size) in sizes.into_iter().enumerate() {
        for noisy in [true, false] {
            let found = store.event(&key(&format!("evt_{at}_{noisy}"))).await.unwrap().unwrap();
            assert!(found.event.body == body(size, noisy), "{size} bytes, noisy: {noisy}");
            let small = format!("small_{at}_{noisy}");
            assert_eq!(store.event(&key(&small)).await.unwrap().unwrap().event.key, key(&small));
        }
    }
    let claimed = claim(&*store, &["a"]).await;
    let lengths: Vec<_> = claimed.iter().map(|c| c.event.event.body.len()).collect();
    assert_eq!(lengths, sizes.iter().flat_map(|size| [*size, *size]).collect::<Vec<_>>());
}

pub(crate) async fn too_large_changes_nothing<E: Engine>() {
    let store = E::new().open();
    let mut large = event("evt_large", &["a"]);
    large.event.body = noise(3 << 20, 1).into();
    let refused = store.accept(vec![event("evt_small", &["a"]), large]).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { size, limit, .. }) if size > limit));
    let refused = store.accept(vec![event(&"x".repeat(5_000), &[])]).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
    assert_eq!(store.stats().await.unwrap().events, 0);
    assert!(matches!(accept(&*store, "evt_small", &[]).await, Admission::Accepted(_)));
}

pub(crate) async fn endpoints_are_kept<E: Engine>() {
    let engine = E::new();
    let store = engine.open();
    let mut old = Secret::new("whsec_old").unwrap();
    old.not_after = Some(START);
    let endpoint = |n: u128, provider: &str| Endpoint {
        id: EndpointId(Uuid::from_u128(n)),
        provider: provider.to_owned(),
        secrets: vec![Secret::new("whsec_1").unwrap(), old.clone()],
        tolerance: Duration::from_secs(300),
        description: Some("for tests".to_owned()),
        created_at: START,
        origin: Origin::Api,
        validation: Validation::RetrieveEvent,
        force_unverified: true,
        account: Some("eu".to_owned()),
        livemode: Some(false),
        connect: Some(true),
        status: EndpointStatus::Disabled,
        at_provider: Some(AtProvider {
            id: Some("we_1".to_owned()),
            url: "https://hooks.example.com/webhooks/1".to_owned(),
            enabled_events: vec!["charge.failed".to_owned(), "*".to_owned()],
            api_version: Some("2025-03-31.basil".to_owned()),
            metadata: [("a".to_owned(), "b".to_owned())].into(),
            retiring: vec![("we_0".to_owned(), START)],
        }),
        matched: vec![(old.id(), START)],
    };
    for (n, provider) in [(2, "stripe"), (1, "stripe"), (2, "github"), (3, "stripe")] {
        store.put_endpoint(endpoint(n, provider)).await.unwrap();
    }
    assert!(store.delete_endpoint(EndpointId(Uuid::from_u128(3))).await.unwrap());
    assert!(!store.delete_endpoint(EndpointId(Uuid::from_u128(3))).await.unwrap());
    drop(store);
    let store = engine.open();
    assert_eq!(store.endpoints().await.unwrap(), [endpoint(1, "stripe"), endpoint(2, "github")]);
    let query = EventQuery { kind: None, status: None, page: PageRequest { limit: 9, from: None } };
    assert!(store.events(query).await.unwrap().data.is_empty());
}
