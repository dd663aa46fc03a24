//! Where nothing is sent: loopback in every spelling, names that move, plain `http` to the public.
//!
//! Were the guard broken, the requests here would go to this machine alone: other addresses are
//! judged and not sent to.

use std::net::IpAddr;
use std::str::FromStr as _;

use reqwest::dns::{Name, Resolve as _};

use super::super::guard::{Guard, Refused};
use super::super::resolve::Guarded;
use super::super::secrets::Secrets;
use super::super::send::Sender;
use super::super::{AddressClass, SystemResolver};
use super::certificates::{AUTHORITY, secure_server};
use super::*;
use crate::net::ExtraRoots;

#[tokio::test]
async fn loopback_is_refused_however_it_is_written() {
    let server = Server::start(vec![]).await;
    let mut setup = Setup::at(&server);
    setup.config.allow_networks.clear();
    setup.resolver =
        Names::of(&[("localhost", &["127.0.0.1 ::1"]), ("hooks.test", &["127.0.0.1"])]);
    let mut bench = setup.start();
    let hosts = [
        ("127.0.0.1", "a loopback"),
        ("127.1", "a loopback"),
        ("2130706433", "a loopback"),
        ("0x7f000001", "a loopback"),
        ("0x7f.1", "a loopback"),
        ("017700000001", "a loopback"),
        ("127.0.0.1.", "a loopback"),
        ("127%2e0%2e0%2e1", "a loopback"),
        ("①②⑦.0.0.1", "a loopback"),
        ("0", "an unspecified"),
        ("[::1]", "a loopback"),
        ("[::]", "an unspecified"),
        ("[::ffff:127.0.0.1]", "a loopback"),
        ("[::ffff:7f00:1]", "a loopback"),
        ("localhost", "a loopback"),
        ("hooks.test", "a loopback"),
    ];
    let mut ordinal = 0;
    for (host, class) in hosts {
        for scheme in ["https", "http"] {
            let url = format!("{scheme}://{host}:{}/", server.addr.port());
            let settled = bench.perform(ordinal, post(&url, &[])).await;
            retry_at(&settled);
            let reason = &settled.attempt.reason;
            assert!(reason.contains(class), "{url}: {reason}");
            assert!(reason.contains("`outbox.allow_networks`"), "{url}: {reason}");
            ordinal += 1;
        }
    }
    assert_eq!(server.connections(), 0);
    bench.stop().await;
}

#[tokio::test]
async fn an_allowed_network_is_reached_by_name_and_by_address() {
    let server = Server::start(vec![]).await;
    let mut setup = Setup::at(&server);
    setup.resolver = Names::of(&[("hooks.test", &["127.0.0.1"])]);
    let mut bench = setup.start();
    let port = server.addr.port();
    for (ordinal, host) in (0..).zip(["hooks.test", "2130706433"]) {
        let settled = bench.perform(ordinal, post(&format!("http://{host}:{port}/"), &[])).await;
        assert_eq!(settled.verdict, EffectVerdict::Done, "{}", settled.attempt.reason);
    }
    // Another loopback address is in another network.
    let settled = bench.perform(2, post(&format!("http://127.0.0.2:{port}/"), &[])).await;
    retry_at(&settled);
    bench.stop().await;
}

#[tokio::test]
async fn the_machines_own_resolver_is_guarded_too() {
    let server = Server::start(vec![]).await;
    let mut setup = Setup::at(&server);
    setup.resolver = Arc::new(SystemResolver);
    setup.config.allow_networks.clear();
    let mut bench = setup.start();
    let url = format!("https://localhost:{}/", server.addr.port());
    let settled = bench.perform(0, post(&url, &[])).await;
    assert!(settled.attempt.reason.contains("a loopback"), "{}", settled.attempt.reason);
    assert_eq!(server.connections(), 0);
    bench.stop().await;
}

/// A name that is allowed when it is checked and moves at once: every connection is to what was
/// checked for it.
#[tokio::test]
async fn a_name_that_moves_is_refused_at_its_next_connection() {
    let closing = [("connection", "close")];
    let server = Server::start(vec![Step::Answer(answer("500 Oh", &closing, b""))]).await;
    let mut setup = Setup::at(&server);
    let names = Names::of(&[("hooks.test", &["127.0.0.1", "127.0.0.2"])]);
    setup.resolver = names.clone();
    let mut bench = setup.start();
    let url = format!("http://hooks.test:{}/", server.addr.port());
    let first = bench.perform(0, post(&url, &[])).await;
    assert_eq!(first.attempt.status, Some(500));
    bench.pass(retry_at(&first).since(START));
    let second = bench.next().await;
    assert!(second.attempt.reason.contains("127.0.0.2 is a loopback"), "{}", second.attempt.reason);
    assert_eq!(*names.asked.lock().unwrap(), ["hooks.test", "hooks.test"], "once a connection");
    assert_eq!(server.connections(), 1);
    bench.stop().await;
}

/// The same with a public address first, to which no test connects.
#[tokio::test]
async fn public_first_and_loopback_second_is_refused() {
    let names = Names::of(&[("moves.test", &["8.8.8.8 127.0.0.1", "127.0.0.1", ""])]);
    let guarded = Guarded { resolver: names, guard: Arc::new(Guard::default()) };
    let name = || Name::from_str("moves.test").unwrap();
    let first: Vec<_> = guarded.resolve(name()).await.unwrap().map(|to| to.ip()).collect();
    assert_eq!(first, ["8.8.8.8".parse::<IpAddr>().unwrap()]);
    let Err(second) = guarded.resolve(name()).await else { panic!("loopback was let through") };
    assert!(second.downcast_ref::<Refused>().is_some(), "{second}");
    let Err(third) = guarded.resolve(name()).await else { panic!("nothing was let through") };
    assert!(third.to_string().contains("no address was found for `moves.test`"));
}

/// Of several addresses `https` takes what is allowed, and plain `http` all or nothing.
#[tokio::test]
async fn plain_http_takes_a_name_whole() {
    let server = Server::start(vec![]).await;
    let mut setup = Setup::at(&server);
    setup.resolver = Names::of(&[("mixed.test", &["127.0.0.1 127.0.0.2"])]);
    let mut bench = setup.start();
    let port = server.addr.port();
    let plain = bench.perform(0, post(&format!("http://mixed.test:{port}/"), &[])).await;
    assert!(plain.attempt.reason.contains("127.0.0.2 is a loopback"), "{}", plain.attempt.reason);
    assert_eq!(server.connections(), 0);
    // The server speaks no TLS: that it was reached is enough.
    retry_at(&bench.perform(1, post(&format!("https://mixed.test:{port}/"), &[])).await);
    assert_eq!(server.connections(), 1);
    bench.stop().await;
}

#[tokio::test]
async fn an_address_in_the_url_is_judged_before_anything_is_sent() {
    let config = OutboxConfig {
        allow_networks: vec!["10.1.0.0/16".parse().unwrap()],
        ..OutboxConfig::default()
    };
    let secrets = Secrets::new(BTreeMap::new());
    let clock = Arc::new(ManualClock::at(START));
    let resolver: Arc<dyn Resolver> = Names::of(&[]);
    let sender = Sender::new(&config, secrets, &resolver, clock).unwrap();
    let judge = |url: &str| sender.client(&url.parse().unwrap()).map(drop).map_err(|r| r.class);
    for good in [
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://10.1.2.3/",
        "http://10.1.2.3/",
        "http://[::ffff:10.1.2.3]/",
        // Judged when it is resolved.
        "https://example.com/",
    ] {
        assert_eq!(judge(good), Ok(()), "{good}");
    }
    for (bad, class) in [
        ("http://8.8.8.8/", AddressClass::Plain),
        ("http://[2606:4700::1111]/", AddressClass::Plain),
        ("https://10.2.0.1/", AddressClass::Private),
        ("https://0xa.2.0.1/", AddressClass::Private),
        ("https://[::ffff:10.2.0.1]/", AddressClass::Private),
        ("https://169.254.169.254/latest/meta-data", AddressClass::Metadata),
        ("https://2852039166/", AddressClass::Metadata),
        ("https://[64:ff9b::a9fe:a9fe]/", AddressClass::Metadata),
        ("https://[fe80::1]/", AddressClass::LinkLocal),
        ("https://[fd00::1]/", AddressClass::Private),
    ] {
        assert_eq!(judge(bad), Err(class), "{bad}");
    }
}

#[tokio::test]
async fn a_name_nobody_knows_is_told() {
    let mut bench = Setup::default().start();
    let settled = bench.perform(0, post("https://nowhere.test/", &[])).await;
    retry_at(&settled);
    assert!(settled.attempt.reason.starts_with("cannot connect: "), "{}", settled.attempt.reason);
    bench.stop().await;
}

#[tokio::test]
async fn a_certificate_counts_only_if_its_authority_is_trusted() {
    let port = secure_server();
    for trusted in [true, false] {
        let mut setup = Setup::default();
        let scope = format!("POST https://*:{port}/*");
        setup.grants.push(Grant::parse(grant::HTTP, &scope, vec![]).unwrap());
        setup.resolver = Names::of(&[("hooks.test", &["127.0.0.1"]), ("x.test", &["127.0.0.1"])]);
        if trusted {
            setup.config.extra_roots = ExtraRoots::from_pem(AUTHORITY.as_bytes()).unwrap();
        }
        let mut bench = setup.start();
        let good = bench.perform(0, post(&format!("https://hooks.test:{port}/"), &[])).await;
        assert_eq!(good.verdict == EffectVerdict::Done, trusted, "{}", good.attempt.reason);
        let other = bench.perform(1, post(&format!("https://x.test:{port}/"), &[])).await;
        retry_at(&other);
        assert!(other.attempt.reason.contains("certificate"), "{}", other.attempt.reason);
        bench.stop().await;
    }
}
