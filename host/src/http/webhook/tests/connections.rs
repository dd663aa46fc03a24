//! Slow peers, many peers, odd peers, and the end.

use super::*;

/// What takes this long never ends.
const HANGS: Duration = Duration::from_secs(60);

#[tokio::test]
async fn requests_sent_at_once_are_answered_in_order() {
    let host = Host::start().await;
    let mut client = host.client().await;
    let all: Vec<u8> = (0..20).flat_map(|n| post(&event(&format!("evt_{n}")))).collect();
    client.send(all).await;
    for n in 0..20 {
        assert_eq!(client.next().await.unwrap().json()["id"], format!("evt_{n}"));
    }
}

#[tokio::test]
async fn a_sender_that_closes_its_half_gets_its_answer() {
    let host = Host::start().await;
    let mut client = host.client().await;
    client.send(post(BODY)).await;
    client.finish().await;
    assert_eq!(client.next().await.unwrap().status, 200);
    assert!(client.next().await.is_none());
}

#[tokio::test]
async fn a_slow_head_is_cut_and_an_idle_connection_ends() {
    let host = Host::with(MemoryStore::default(), |config| config.connections.head = SHORT).await;
    let mut slow = host.client().await;
    slow.send("POST / HT").await;
    assert!(slow.next().await.is_none());
    let mut idle = host.client().await;
    assert_eq!(idle.ask(post(BODY)).await.status, 200);
    assert!(idle.next().await.is_none());
}

#[tokio::test]
async fn slow_bodies_take_nobodys_turn() {
    let host = Host::with(MemoryStore::default(), |config| {
        config.body = HANGS;
        config.in_flight = 1;
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut client = host.client().await;
        client.send(format!("{}Content-Length: 9\r\n\r\n{{", head(BODY))).await;
        slow.push(client);
    }
    assert_eq!(host.client().await.ask(post(BODY)).await.status, 200);
}

#[tokio::test]
async fn a_slow_body_is_refused_and_frees_its_turn() {
    let host = Host::with(MemoryStore::default(), |config| {
        config.body = SHORT;
        config.in_flight = 1;
    })
    .await;
    let mut slow = host.client().await;
    let length = BODY.len();
    let reply = slow.ask(format!("{}Content-Length: {length}\r\n\r\n{{", head(BODY))).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "body_too_slow"));
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(host.client().await.ask(post(BODY)).await.status, 200);
}

#[tokio::test]
async fn idle_connections_give_way_when_all_are_in_use() {
    let host = Host::with(MemoryStore::default(), |config| {
        config.connections.connections = 200;
        // Nothing but giving way ends them.
        config.connections.head = Duration::from_secs(3_600);
    })
    .await;
    let mut idle = Vec::new();
    for _ in 0..1_000 {
        idle.push(host.client().await);
    }
    let reply = tokio::time::timeout(HANGS, async { host.client().await.ask(post(BODY)).await });
    assert_eq!(reply.await.expect("room was made").status, 200);
    assert!(idle[0].next().await.is_none(), "the first ones have been ended");
}

#[tokio::test]
async fn half_heads_give_way_when_all_are_in_use() {
    let host = Host::with(MemoryStore::default(), |config| {
        config.connections.connections = 100;
        config.connections.head = Duration::from_secs(3_600);
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut client = host.client().await;
        client.send("POST / HT").await;
        slow.push(client);
    }
    let reply = tokio::time::timeout(HANGS, async { host.client().await.ask(post(BODY)).await });
    assert_eq!(reply.await.expect("room was made").status, 200);
}

#[tokio::test]
async fn a_request_under_way_does_not_give_way() {
    let host = Host::with(MemoryStore::shut(), |config| {
        config.connections.connections = 1;
    })
    .await;
    let mut busy = host.client().await;
    busy.send(post(BODY)).await;
    host.store.waiting.acquire().await.unwrap().forget();
    let mut next = host.client().await;
    next.send(post(BODY)).await;
    host.store.release();
    let reply = busy.next().await.unwrap();
    assert_eq!(reply.json()["status"], "accepted");
    assert_eq!(next.next().await.unwrap().json()["status"], "duplicate");
}

#[tokio::test]
async fn a_peer_that_takes_no_answers_is_cut() {
    let host = Host::with(MemoryStore::default(), |config| {
        config.connections.write = SHORT;
        config.connections.connections = 1;
    })
    .await;
    let mut deaf = host.client().await;
    let flood = "GET /x HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000);
    // Its answers fill every buffer between the two, and then its connection ends.
    while deaf.try_send(&flood).await {}
    assert_eq!(host.client().await.ask(post(BODY)).await.status, 200);
}

#[tokio::test]
async fn a_stop_lets_the_request_under_way_finish_and_takes_no_other() {
    let host = Host::with(MemoryStore::shut(), |_| ()).await;
    let mut idle = host.client().await;
    let mut busy = host.client().await;
    busy.send(post(BODY)).await;
    host.store.waiting.acquire().await.unwrap().forget();
    host.shutdown.cancel();
    assert!(idle.next().await.is_none(), "an idle connection ends at once");
    assert!(!host.running.is_finished());
    host.store.release();
    let reply = busy.next().await.unwrap();
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    assert!(busy.next().await.is_none());
    host.running.await.unwrap();
    assert_eq!(host.store.kept().len(), 1);
    assert!(tokio::net::TcpStream::connect(host.addr).await.is_err());
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_its_bound() {
    let host = Host::with(MemoryStore::shut(), |config| config.connections.drain = SHORT).await;
    let mut stuck = host.client().await;
    stuck.send(post(BODY)).await;
    host.store.waiting.acquire().await.unwrap().forget();
    host.shutdown.cancel();
    host.running.await.unwrap();
    assert!(stuck.next().await.is_none());
}
