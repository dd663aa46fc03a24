//! The live endpoints over a store in memory.

use super::*;
use crate::domain::clock::ManualClock;
use crate::provider::stripe::StripeProvider;
use crate::provider::testing::{SECRET, endpoint};
use crate::store::memory::MemoryStore;

async fn load(config: Vec<Endpoint>, store: &Arc<MemoryStore>) -> Result<Endpoints, EndpointError> {
    let providers = Providers::new(vec![Arc::new(StripeProvider::default())]);
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(100)));
    Endpoints::load(store.clone(), providers, clock, config).await
}

fn new() -> NewEndpoint {
    NewEndpoint {
        provider: "stripe".into(),
        secrets: vec![Secret::new("whsec_new").unwrap()],
        tolerance: Endpoint::DEFAULT_TOLERANCE,
        description: Some("shop".into()),
        ..NewEndpoint::default()
    }
}

#[tokio::test]
async fn what_is_made_is_served_listed_and_found_again_after_a_restart() {
    let store = Arc::new(MemoryStore::default());
    let endpoints = load(vec![endpoint(1)], &store).await.unwrap();
    let made = endpoints.create(new()).await.unwrap();
    assert_eq!(made.id.0.get_version_num(), 4);
    assert_eq!(endpoints.get(made.id), Some(made.clone()));
    assert_eq!(endpoints.list(), [made.clone(), endpoints.get(endpoint(1).id).unwrap()]);

    let named = EndpointId(Uuid::from_u128(7));
    let taken = endpoints.create(NewEndpoint { id: Some(named), ..new() }).await.unwrap();
    assert_eq!(taken.id, named);
    for id in [named, endpoint(1).id] {
        let twice = endpoints.create(NewEndpoint { id: Some(id), ..new() }).await;
        assert!(matches!(twice, Err(EndpointError::Exists(_))));
    }
    assert!(endpoints.delete(named).await.unwrap());

    let again = load(vec![], &store).await.unwrap();
    assert_eq!(again.list(), std::slice::from_ref(&made));
    assert!(again.delete(made.id).await.unwrap());
    assert!(!again.delete(made.id).await.unwrap());
    assert_eq!(again.get(made.id), None);
    assert!(load(vec![], &store).await.unwrap().list().is_empty());
}

#[tokio::test]
async fn the_configuration_holds_and_is_not_deleted_here() {
    let store = Arc::new(MemoryStore::default());
    let mut stored = endpoint(1);
    stored.origin = Origin::Api;
    stored.description = Some("old".into());
    store.put_endpoint(stored).await.unwrap();
    let endpoints = load(vec![endpoint(1)], &store).await.unwrap();
    assert_eq!(endpoints.list().len(), 1);
    assert_eq!(endpoints.get(endpoint(1).id).unwrap().description, None);
    let refused = endpoints.delete(endpoint(1).id).await.unwrap_err();
    assert!(matches!(refused, EndpointError::OfConfig(_)));
    let twice = load(vec![endpoint(1), endpoint(1)], &store).await.unwrap_err();
    assert!(matches!(twice, EndpointError::Twice(_)));
}

#[tokio::test]
async fn what_could_prove_nothing_is_refused() {
    let store = Arc::new(MemoryStore::default());
    let endpoints = load(vec![], &store).await.unwrap();
    let unknown = endpoints.create(NewEndpoint { provider: "strip".into(), ..new() }).await;
    assert!(unknown.unwrap_err().to_string().contains("this host knows: stripe"));
    let none = endpoints.create(NewEndpoint { secrets: vec![], ..new() }).await;
    assert!(matches!(none, Err(EndpointError::NoSecret)));
    let secrets = vec![Secret::new("s").unwrap(); MAX_SECRETS + 1];
    let many = endpoints.create(NewEndpoint { secrets, ..new() }).await;
    assert!(matches!(many, Err(EndpointError::TooManySecrets(17))));
    let bad = Endpoint { secrets: vec![], ..endpoint(2) };
    assert!(matches!(load(vec![bad], &store).await, Err(EndpointError::NoSecret)));
}

#[tokio::test]
async fn what_the_store_does_not_keep_is_not_served() {
    let store = Arc::new(MemoryStore::default());
    let endpoints = load(vec![], &store).await.unwrap();
    let made = endpoints.create(new()).await.unwrap();
    store.fail_with(|| StoreError::Busy);
    assert!(endpoints.create(new()).await.is_err());
    assert!(endpoints.delete(made.id).await.is_err());
    assert_eq!(endpoints.list(), [made]);
}

#[tokio::test]
async fn a_match_is_remembered_per_secret_and_outlives_other_changes() {
    let store = Arc::new(MemoryStore::default());
    let mut two = endpoint(1);
    two.secrets.push(Secret::new("whsec_second").unwrap());
    let endpoints = load(vec![two.clone()], &store).await.unwrap();
    let (first, second) = (Secret::new(SECRET).unwrap().id(), two.secrets[1].id());
    assert_eq!(endpoints.last_matched(two.id, &first), None);
    endpoints.matched(two.id, &first);
    endpoints.create(new()).await.unwrap();
    assert_eq!(endpoints.last_matched(two.id, &first), Some(Timestamp::from_secs(100)));
    assert_eq!(endpoints.last_matched(two.id, &second), None);
}
