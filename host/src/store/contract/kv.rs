//! A plugin's state: exactly once, never a lost update, never a phantom.

use crate::domain::kv::{KvPage, KvRange, KvVersion};

use super::*;

fn range(prefix: &str, after: Option<&str>, limit: usize) -> KvRange {
    KvRange { prefix: prefix.to_owned(), after: after.map(str::to_owned), limit }
}

async fn claimed(store: &dyn Store, id: &str) -> ClaimedDelivery {
    accept(store, id, &["a"]).await;
    claim(store, &["a"]).await.remove(0)
}

async fn value(store: &dyn Store, name: &str, key: &str) -> Option<Vec<u8>> {
    store.kv_get(&plugin(name), key).await.unwrap().map(|entry| entry.value)
}

pub(crate) async fn increments_are_never_lost<E: Engine>() {
    const N: usize = 60;
    let engine = E::new();
    let store = engine.open();
    for n in 0..N {
        accept(&*store, &format!("evt_{n}"), &["a"]).await;
    }
    let runs = claim(&*store, &["a"]).await.into_iter().map(|delivery| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut conflicts = 0;
            loop {
                let seen = store.kv_get(&plugin("a"), "count").await.unwrap();
                let count = seen
                    .as_ref()
                    .map_or(0, |e| u64::from_le_bytes(e.value[..].try_into().unwrap()));
                let version = seen.map(|entry| entry.version);
                let reads = vec![KvRead::Key { key: "count".to_owned(), version }];
                let writes = vec![put("count", (count + 1).to_le_bytes())];
                match done(&*store, &delivery, reads, writes).await {
                    Settled::Committed => return conflicts,
                    Settled::Conflict => conflicts += 1,
                    Settled::Fenced => panic!("a conflict leaves the lease good"),
                }
            }
        })
    });
    let mut conflicts = 0;
    for run in runs.collect::<Vec<_>>() {
        conflicts += run.await.unwrap();
    }
    assert!(conflicts > 0, "sixty at once on one key never met");
    drop(store);
    let store = engine.open();
    assert_eq!(value(&*store, "a", "count").await.unwrap(), (N as u64).to_le_bytes());
}

pub(crate) async fn a_phantom_is_a_conflict<E: Engine>() {
    let store = E::new().open();
    let first = claimed(&*store, "evt_1").await;
    done(&*store, &first, vec![], vec![put("k/1", ""), put("k/3", ""), put("l", "")]).await;
    let (writer, reader) = (claimed(&*store, "evt_2").await, claimed(&*store, "evt_3").await);
    let saw = |range: KvRange, page: KvPage| KvRead::Range { range, page };
    let all = range("k/", None, 10);
    let page = store.kv_keys(&plugin("a"), &all).await.unwrap();
    assert_eq!(page, KvPage { keys: vec!["k/1".to_owned(), "k/3".to_owned()], next: None });
    let first_page = store.kv_keys(&plugin("a"), &range("k/", None, 1)).await.unwrap();
    assert_eq!(first_page.next.as_deref(), Some("k/1"));
    // In one list: the second sees what the first commits.
    let write = Settlement { writes: vec![put("k/2", "")], ..settlement(&writer, Verdict::Done) };
    let read =
        Settlement { reads: vec![saw(all.clone(), page)], ..settlement(&reader, Verdict::Done) };
    let both = store.settle(vec![write, read]).await.unwrap();
    assert_eq!(both, [Settled::Committed, Settled::Conflict]);
    let beyond = store.kv_keys(&plugin("a"), &range("l", None, 10)).await.unwrap();
    let reads = vec![
        saw(range("k/", None, 1), first_page),
        saw(range("l", None, 10), beyond),
        KvRead::Key { key: "absent".to_owned(), version: None },
    ];
    assert_eq!(done(&*store, &reader, reads, vec![]).await, Settled::Committed, "nothing it saw");
    let gone = claimed(&*store, "evt_4").await;
    let page = store.kv_keys(&plugin("a"), &all).await.unwrap();
    let other = claimed(&*store, "evt_5").await;
    done(&*store, &other, vec![], vec![KvWrite::Delete { key: "k/1".to_owned() }]).await;
    assert_eq!(done(&*store, &gone, vec![saw(all, page)], vec![]).await, Settled::Conflict);
}

pub(crate) async fn only_done_writes<E: Engine>() {
    let store = E::new().open();
    for (n, verdict) in
        [Verdict::RetryAt(START), Verdict::Dead, Verdict::Release(START)].into_iter().enumerate()
    {
        let delivery = claimed(&*store, &format!("evt_{n}")).await;
        let writes = vec![put("k", "v")];
        let stale = vec![KvRead::Key { key: "k".to_owned(), version: Some(KvVersion(99)) }];
        let conflict = Settlement { reads: stale, ..settlement(&delivery, verdict.clone()) };
        assert_eq!(store.settle(vec![conflict]).await.unwrap(), [Settled::Conflict]);
        let settlement = Settlement { writes, ..settlement(&delivery, verdict) };
        assert_eq!(store.settle(vec![settlement]).await.unwrap(), [Settled::Committed]);
        assert_eq!(value(&*store, "a", "k").await, None);
        assert_eq!(store.kv_usage(&plugin("a")).await.unwrap(), 0);
        for left in claim(&*store, &["a"]).await {
            settle(&*store, &left, Verdict::Dead).await;
        }
    }
}

pub(crate) async fn usage_follows_writes<E: Engine>() {
    let store = E::new().open();
    let steps: [(Vec<KvWrite>, u64); 5] = [
        (vec![put("ab", "xyz"), put("c", "")], 6),
        (vec![put("ab", "x")], 4),
        (vec![put("d", "1"), put("d", "12345")], 10),
        (vec![put("e", "1"), KvWrite::Delete { key: "e".to_owned() }], 10),
        (["ab", "c", "d", "none"].map(|key| KvWrite::Delete { key: key.to_owned() }).to_vec(), 0),
    ];
    for (n, (writes, usage)) in steps.into_iter().enumerate() {
        let delivery = claimed(&*store, &format!("evt_{n}")).await;
        assert_eq!(done(&*store, &delivery, vec![], writes).await, Settled::Committed);
        assert_eq!(store.kv_usage(&plugin("a")).await.unwrap(), usage, "step {n}");
    }
    assert_eq!(store.kv_usage(&plugin("b")).await.unwrap(), 0);
    // A key that comes back has another version, though its value is the same.
    let delivery = claimed(&*store, "evt_v1").await;
    done(&*store, &delivery, vec![], vec![put("k", "v")]).await;
    let before = store.kv_get(&plugin("a"), "k").await.unwrap().unwrap();
    for write in [KvWrite::Delete { key: "k".to_owned() }, put("k", "v")] {
        let delivery = claimed(&*store, &format!("evt_{write:?}")).await;
        done(&*store, &delivery, vec![], vec![write]).await;
    }
    let after = store.kv_get(&plugin("a"), "k").await.unwrap().unwrap();
    assert!(after.version > before.version && after.value == before.value);
}

pub(crate) async fn pages_go_on<E: Engine>() {
    let store = E::new().open();
    let delivery = claimed(&*store, "evt_1").await;
    let keys: Vec<String> = (0..25).map(|n| format!("p/{n:02}")).collect();
    let mut writes: Vec<_> = keys.iter().map(|key| put(key, "v")).collect();
    writes.extend([put("o", ""), put("p", ""), put("p0", ""), put("q", ""), put("p/ä", "")]);
    done(&*store, &delivery, vec![], writes).await;
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.kv_keys(&plugin("a"), &range("p/", after.as_deref(), 10)).await.unwrap();
        found.extend(page.keys);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut expected = keys;
    expected.push("p/ä".to_owned());
    assert_eq!(found, expected);
    let none = store.kv_keys(&plugin("a"), &range("p/", Some("z"), 10)).await.unwrap();
    assert_eq!(none, KvPage::default());
    assert_eq!(store.kv_keys(&plugin("b"), &range("", None, 10)).await.unwrap(), KvPage::default());
}

pub(crate) async fn large_values_shrink_and_grow<E: Engine>() {
    let engine = E::new();
    let mut store = engine.open();
    for (n, size) in [1 << 20, 70_000, 10, 300_000, 65_536, 0].into_iter().enumerate() {
        let delivery = claimed(&*store, &format!("evt_{n}")).await;
        done(&*store, &delivery, vec![], vec![put("k", noise(size, 3)), put("l", "x")]).await;
        assert!(value(&*store, "a", "k").await.unwrap() == noise(size, 3), "{size}");
        drop(store);
        store = engine.open();
        assert!(value(&*store, "a", "k").await.unwrap() == noise(size, 3), "{size} reopened");
        assert_eq!(store.kv_usage(&plugin("a")).await.unwrap(), size as u64 + 3);
    }
}
