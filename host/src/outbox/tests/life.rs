//! Starting, stopping, limits, and what the host or its store does wrong.

use std::io;
use std::net::IpAddr;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::domain::effect::EffectStatus;
use crate::store::StoreError;

use super::*;

#[tokio::test]
async fn a_stop_waits_for_what_was_begun() {
    let permits = Arc::new(Semaphore::new(0));
    let held = Step::Held(permits.clone(), answer("200 OK", &[], b""));
    let server = Server::start(vec![held]).await;
    let bench = Setup::at(&server).start();
    bench.store.ask(id(0), post(&server.url("/"), &[]));
    soon(server.came()).await;
    assert_eq!(bench.handle.running(), 1);
    bench.shutdown.cancel();
    // Asked for after the stop: for the next start.
    bench.store.ask(id(1), post(&server.url("/"), &[]));
    permits.add_permits(1);
    soon(bench.running).await.unwrap();
    let settled = bench.store.settlements();
    assert_eq!(settled.len(), 1);
    assert_eq!(settled[0].verdict, EffectVerdict::Done);
    assert_eq!(bench.handle.running(), 0);
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let server = Server::start(vec![Step::Hang]).await;
    let mut setup = Setup::at(&server);
    setup.config.drain = Duration::from_millis(20);
    let bench = setup.start();
    bench.store.ask(id(0), post(&server.url("/"), &[]));
    soon(server.came()).await;
    let store = bench.store.clone();
    bench.stop().await;
    assert!(store.settlements().is_empty(), "the store gives it to the next start");
}

#[tokio::test]
async fn no_more_is_performed_at_once_than_may_be() {
    let permits = Arc::new(Semaphore::new(0));
    let held = || Step::Held(permits.clone(), answer("200 OK", &[], b""));
    let server = Server::start((0..9).map(|_| held()).collect()).await;
    let mut setup = Setup::at(&server);
    (setup.config.concurrency, setup.config.per_plugin) = (3, 7);
    for ordinal in 0..9 {
        setup.store.ask(id(ordinal), post(&server.url("/"), &[]));
    }
    let mut bench = setup.start();
    for _ in 0..3 {
        soon(server.came()).await;
    }
    assert_eq!(bench.handle.running(), 3);
    permits.add_permits(9);
    for _ in 0..9 {
        assert_eq!(bench.next().await.verdict, EffectVerdict::Done);
    }
    let requests = bench.store.requests.lock().unwrap().clone();
    assert!(requests.iter().all(|request| request.limit <= 3 && request.per_plugin == 7));
    bench.stop().await;
}

#[tokio::test]
async fn whatever_a_store_holds_is_survived() {
    let server = Server::start(vec![]).await;
    let mut bench = Setup::at(&server).start();
    let url = server.url("/");
    let request = |method: &str, url: &str, name: &str, value: &str| Action::Http {
        request: HttpRequest {
            method: method.into(),
            url: url.into(),
            headers: vec![(name.into(), value.into())],
            body: vec![],
        },
        reply: None,
    };
    let bad = [
        request("POST", "", "a", "b"),
        request("POST", "/only/a/path", "a", "b"),
        request("POST", "http://", "a", "b"),
        request("POST", "http://[::1", "a", "b"),
        request("POST", "http://a:99999/", "a", "b"),
        request("POST", "file:///etc/passwd", "a", "b"),
        request("POST", "unix:/run/docker.sock", "a", "b"),
        request("POST", "data:text/plain,x", "a", "b"),
        request("PO ST", &url, "a", "b"),
        request("", &url, "a", "b"),
        request("CONNECT", &url, "a", "b"),
        request("POST", &url, "a b", "c"),
        request("POST", &url, "", "c"),
        request("POST", &url, "a", "b\r\nc: d"),
        request("POST", &url, "Host", "else.example"),
        request("POST", &url, "transfer-encoding", "chunked"),
        request("POST", &url, "content-length", "1000"),
    ];
    for (ordinal, action) in (0..).zip(bad) {
        let told = shown(&action);
        let settled = bench.perform(ordinal, action).await;
        assert_eq!(settled.verdict, EffectVerdict::Dead, "{told}");
        assert!(settled.attempt.reason.starts_with("the request cannot be sent: "), "{told}");
    }
    assert_eq!(server.connections(), 0);
    bench.stop().await;
}

/// A resolver with a fault.
#[derive(Debug)]
struct Panics(Semaphore);

#[async_trait]
impl Resolver for Panics {
    async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(permit) = self.0.try_acquire() {
            permit.forget();
            panic!("as the test wants it");
        }
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }
}

#[tokio::test]
async fn a_fault_of_the_host_spends_no_try() {
    let server = Server::start(vec![]).await;
    let mut setup = Setup::at(&server);
    setup.resolver = Arc::new(Panics(Semaphore::new(1)));
    let fault_wait = setup.config.fault_wait;
    let mut bench = setup.start();
    let url = format!("http://hooks.test:{}/", server.addr.port());
    let broken = bench.perform(0, post(&url, &[])).await;
    assert_eq!(broken.verdict, EffectVerdict::Release(START.plus(fault_wait)));
    bench.pass(fault_wait);
    let settled = bench.next().await;
    assert_eq!((settled.verdict, settled.attempt.number), (EffectVerdict::Done, 1));
    bench.stop().await;
}

#[tokio::test]
async fn a_store_in_trouble_loses_nothing() {
    let setup = Setup::default();
    let too_large = || StoreError::TooLarge { what: "a settlement", size: 9, limit: 1 };
    let damaged = || StoreError::Damaged { what: "an effect".into(), cause: "it rotted".into() };
    let store = setup.store.clone();
    let fail = |failures: Vec<StoreError>| store.failures.lock().unwrap().extend(failures);
    let mut bench = setup.start();
    let mut ended = bench.handle.subscribe();
    fail(vec![StoreError::Busy, StoreError::Busy]);
    assert_eq!(bench.perform(0, emit("a")).await.verdict, EffectVerdict::Done);
    fail(vec![too_large()]);
    let dead = bench.perform(1, emit("a")).await;
    assert_eq!((dead.verdict, dead.then.len()), (EffectVerdict::Dead, 0));
    assert!(dead.attempt.reason.contains("9 bytes"), "{}", dead.attempt.reason);
    fail(vec![damaged()]);
    let waits = bench.perform(2, emit("a")).await;
    assert!(matches!(waits.verdict, EffectVerdict::Release(_)));
    let told = [soon(ended.recv()).await.unwrap(), soon(ended.recv()).await.unwrap()];
    assert_eq!(told.map(|ended| ended.status), [EffectStatus::Done, EffectStatus::Dead]);
    assert!(store.idle());
    bench.stop().await;
}
