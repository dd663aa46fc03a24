//! New secrets, and the end of old ones.

use super::*;
use tokio_util::sync::CancellationToken;

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_given_secret_comes_first_and_the_old_one_ends() {
    let world = World::new().await;
    let made = world.made().await;
    let new = Secret::new("whsec_new").unwrap();
    let rolled = world.at.roll(made.id, Roll::Given(new.clone()), HOUR).await.unwrap();
    assert_eq!(rolled.secrets[0], new);
    let end = world.clock.now().plus(HOUR);
    assert_eq!(rolled.secrets[1].not_after, Some(end));
    assert!(world.writes().len() == 1, "Stripe has it already");
    // A second roll does not prolong the life of the first secret, and what has ended goes.
    let newer = Secret::new("whsec_newer").unwrap();
    let rolled = world.at.roll(made.id, Roll::Given(newer), HOUR * 5).await.unwrap();
    assert_eq!(rolled.secrets[2].not_after, Some(end));
    world.clock.advance(HOUR * 2);
    let newest = Secret::new("whsec_newest").unwrap();
    let rolled = world.at.roll(made.id, Roll::Given(newest), HOUR).await.unwrap();
    assert_eq!(rolled.secrets.len(), 3);
    let long = Roll::Given(Secret::new("x").unwrap());
    let long = world.at.roll(made.id, long, MAX_OLD_VALID + HOUR).await.unwrap_err();
    assert!(long.to_string().contains("30 days"), "{long}");
}

#[tokio::test]
async fn a_replaced_endpoint_is_deleted_at_stripe_when_its_secret_ends() {
    let mut world = World::new().await;
    let made = world.made().await;
    let rolled = world.at.roll(made.id, Roll::Replace, HOUR).await.unwrap();
    assert_eq!(world.fake.ids(), ["we_1", "we_2"]);
    let (old, new) = (world.fake.one("we_1"), world.fake.one("we_2"));
    for field in ["url", "enabled_events", "api_version", "description", "metadata"] {
        assert_eq!(old[field], new[field], "{field}");
    }
    assert_eq!(rolled.secrets[0].expose(), "whsec_of_we_2");
    assert_eq!((rolled.secrets.len(), there(&rolled).id.as_deref()), (2, Some("we_2")));
    assert_eq!(there(&rolled).retiring[0].0, "we_1");
    let outcomes = |report: SyncReport| report.data.iter().map(|e| e.outcome).collect::<Vec<_>>();
    let report = world.sync(Adopt::Ours).await;
    assert_eq!(outcomes(report), [SyncOutcome::Retiring, SyncOutcome::Unchanged]);

    let stop = CancellationToken::new();
    stop.cancel();
    Retiring::new(world.at.clone()).run(stop.clone()).await;
    assert_eq!(world.fake.ids().len(), 2, "not before its time");
    world.clock.advance(HOUR);
    world.restart().await;
    Retiring::new(world.at.clone()).run(stop).await;
    assert_eq!(world.fake.ids(), ["we_2"]);
    assert!(there(&world.get(made.id)).retiring.is_empty());
}

#[tokio::test]
async fn a_replacement_whose_answer_was_lost_is_found_by_asking_again() {
    let mut world = World::new().await;
    let made = world.made().await;
    world.fail(Fault::LoseAllAfter);
    assert!(world.at.roll(made.id, Roll::Replace, HOUR).await.is_err());
    assert_eq!(world.get(made.id).secrets, made.secrets, "nothing was changed here");
    world.fail(Fault::None);
    world.restart().await;
    let rolled = world.at.roll(made.id, Roll::Replace, Duration::ZERO).await.unwrap();
    assert_eq!(rolled.secrets[0].expose(), "whsec_of_we_2");
    assert_eq!(world.fake.ids(), ["we_2"], "without a time for the old one it goes at once");
    let disable = Edit { disabled: Some(true), ..Edit::default() };
    world.at.update(made.id, disable).await.unwrap();
    let refused = world.at.roll(made.id, Roll::Replace, HOUR).await.unwrap_err();
    assert!(refused.to_string().contains("enable it first"), "{refused}");
}

#[tokio::test]
async fn a_secret_is_retired_when_that_is_safe_and_never_the_last() {
    let world = World::new().await;
    let made = world.made().await;
    let old = made.secrets[0].id();
    let last = world.at.retire_secret(made.id, &old, true).await.unwrap_err();
    assert!(last.to_string().contains("the only secret"), "{last}");
    world.endpoints.matched(made.id, &old);
    let new = Secret::new("whsec_new").unwrap();
    world.at.add_secret(made.id, new.clone()).await.unwrap();
    let why = async |world: &World| {
        world.at.retire_secret(made.id, &old, false).await.unwrap_err().to_string()
    };
    assert!(why(&world).await.contains("no other secret"));
    world.clock.advance(HOUR);
    world.endpoints.matched(made.id, &new.id());
    assert!(why(&world).await.contains("not a day before"));
    world.clock.advance(HOUR * 23);
    world.endpoints.matched(made.id, &new.id());
    let left = world.at.retire_secret(made.id, &old, false).await.unwrap();
    assert_eq!(left.secrets, [new]);
    let gone = world.at.retire_secret(made.id, &old, true).await.unwrap_err();
    assert!(matches!(gone, AtStripeError::Unfit(_)));
}
