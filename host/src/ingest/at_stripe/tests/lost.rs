//! Calls that fail, answers that are lost, and how `sync` brings both sides together.

use tokio_util::sync::CancellationToken;

use super::*;

fn entry<'a>(report: &'a SyncReport, id: &str) -> &'a SyncEntry {
    let found = report.data.iter().find(|entry| entry.provider_id.as_deref() == Some(id));
    found.unwrap_or_else(|| panic!("no {id} in {report:#?}"))
}

#[tokio::test]
async fn a_failed_call_leaves_nothing_on_either_side() {
    let world = World::new().await;
    for fault in [Fault::Refuse, Fault::LoseAnswer, Fault::Down] {
        world.fail(fault);
        let failed = world.at.create(&wanted()).await.unwrap_err();
        assert!(matches!(failed, AtStripeError::Stripe(_)), "{fault:?}: {failed}");
        assert!(world.fake.ids().is_empty(), "{fault:?}");
        assert!(world.endpoints.list().is_empty(), "{fault:?}");
        assert!(world.store.endpoints().await.unwrap().is_empty(), "{fault:?}");
    }
}

#[tokio::test]
async fn what_was_begun_and_lost_is_finished_with_its_secret() {
    let mut world = World::new().await;
    world.fail(Fault::LoseAllAfter);
    let open = world.at.create(&wanted()).await.unwrap_err();
    let AtStripeError::Open { id, .. } = open else { panic!("{open}") };
    assert!(open.to_string().contains("endpoints sync"), "{open}");
    assert_eq!(world.fake.ids(), ["we_1"]);
    world.restart().await;
    assert_eq!(world.get(id).status, EndpointStatus::Creating);
    let edit = Edit { disabled: Some(true), ..Edit::default() };
    assert!(matches!(world.at.update(id, edit).await, Err(AtStripeError::Conflict(_))));

    world.fail(Fault::None);
    let wish = SyncWish { dry_run: true, ..SyncWish::default() };
    let told = world.at.sync(&wish).await.unwrap();
    assert_eq!(told.data[0].outcome, SyncOutcome::Finished);
    assert_eq!(world.get(id).status, EndpointStatus::Creating, "nothing was changed");
    let report = world.sync(Adopt::Ours).await;
    assert_eq!(report.data.len(), 1, "{report:#?}");
    let finished = world.get(id);
    assert_eq!(
        (finished.status, there(&finished).id.as_deref()),
        (EndpointStatus::Enabled, Some("we_1"))
    );
    assert_eq!(finished.secrets[0].expose(), "whsec_of_we_1");
    assert_eq!(world.fake.ids(), ["we_1"], "no second one was made");
}

#[tokio::test]
async fn what_stripe_refuses_at_last_is_undone() {
    let world = World::new().await;
    world.fail(Fault::LoseAllAfter);
    let AtStripeError::Open { id, .. } = world.at.create(&wanted()).await.unwrap_err() else {
        panic!("not open")
    };
    world.fake.there.lock().unwrap().clear();
    world.fail(Fault::Refuse);
    let report = world.sync(Adopt::Ours).await;
    assert_eq!(report.data[0].outcome, SyncOutcome::Undone);
    assert!(report.data[0].note.as_ref().unwrap().contains("refuses"), "{report:#?}");
    assert!(world.endpoints.get(id).is_none());
}

#[tokio::test]
async fn what_was_prepared_and_never_asked_for_is_made_or_undone() {
    let mut world = World::new().await;
    world.fail(Fault::LoseAllAfter);
    let AtStripeError::Open { id, .. } = world.at.create(&wanted()).await.unwrap_err() else {
        panic!("not open")
    };
    // A day later the answer is no longer to be had.
    world.clock.advance(Duration::from_secs(24 * 3_600));
    world.fail(Fault::None);
    world.restart().await;
    let report = world.sync(Adopt::Ours).await;
    assert_eq!(entry(&report, "we_1").outcome, SyncOutcome::Undone);
    assert!(world.fake.ids().is_empty() && world.endpoints.get(id).is_none());
    // And what is not wanted at all is deleted on both sides.
    world.fail(Fault::LoseAllAfter);
    let AtStripeError::Open { id, .. } = world.at.create(&wanted()).await.unwrap_err() else {
        panic!("not open")
    };
    world.fail(Fault::None);
    world.at.delete(id, false).await.unwrap();
    assert!(world.fake.ids().is_empty() && world.endpoints.list().is_empty());
}

#[tokio::test]
async fn what_is_at_stripe_is_adopted_taken_over_or_told() {
    let world = World::new().await;
    let made = world.made().await;
    let [ours, foreign, dj] = [11, 12, 13].map(|n| Uuid::from_u128(n).to_string());
    let at = |base: &str, id: &str| format!("{base}/{id}");
    world.fake.put(
        "we_o",
        json!({
            "url": at("https://hooks.example.com/webhooks", &ours), "status": "disabled",
            "metadata": {"signalbox_uuid": ours, "a": "b"}, "description": "old",
        }),
    );
    world.fake.put(
        "we_f",
        json!({
            "url": at("https://other.example.com/webhooks", &foreign),
            "metadata": {"signalbox_uuid": foreign},
        }),
    );
    world.fake.put(
        "we_d",
        json!({
            "url": at("https://shop.example.com/stripe/webhook", &dj) + "/",
            "metadata": {"djstripe_uuid": dj}, "application": "ca_1",
        }),
    );
    world.fake.put("we_x", json!({"url": "https://elsewhere.example.com/hook"}));
    let dry = SyncWish { dry_run: true, adopt: Adopt::All, ..SyncWish::default() };
    world.at.sync(&dry).await.unwrap();
    assert_eq!(world.endpoints.list().len(), 1, "a dry run changes nothing");

    let report = world.sync(Adopt::Ours).await;
    let outcome = |id: &str| entry(&report, id).outcome;
    assert_eq!((outcome("we_o"), outcome("we_f")), (SyncOutcome::Adopted, SyncOutcome::Elsewhere));
    assert_eq!(
        (outcome("we_d"), outcome("we_1")),
        (SyncOutcome::Elsewhere, SyncOutcome::Unchanged)
    );
    assert_eq!(report.others, 1);
    let adopted = world.get(EndpointId(ours.parse().unwrap()));
    assert!(adopted.secrets.is_empty() && adopted.status == EndpointStatus::Disabled);
    assert_eq!(there(&adopted).metadata, [("a".to_owned(), "b".to_owned())].into());
    let note = entry(&report, "we_o").note.clone().unwrap();
    assert!(note.contains("add-secret") && note.contains(&ours), "{note}");
    let secret = Secret::new("whsec_o").unwrap();
    assert_eq!(world.at.add_secret(adopted.id, secret).await.unwrap().secrets.len(), 1);

    world.sync(Adopt::All).await;
    let connect = world.get(EndpointId(dj.parse().unwrap()));
    assert_eq!((connect.connect, world.endpoints.list().len()), (Some(true), 4));

    // Changed at Stripe, and deleted there.
    world.fake.put(
        "we_1",
        json!({
            "url": there(&made).url, "enabled_events": ["*"], "description": "new",
            "metadata": {"signalbox_uuid": made.id.to_string()}, "status": "disabled",
        }),
    );
    world.fake.there.lock().unwrap().remove("we_o");
    world.fake.put("we_2", json!({"url": there(&made).url}));
    let report = world.sync(Adopt::Ours).await;
    let differing: Vec<&str> =
        entry(&report, "we_1").differences.iter().map(|one| one.field).collect();
    assert_eq!(differing, ["enabled_events", "api_version", "description", "metadata", "status"]);
    assert_eq!(entry(&report, "we_2").outcome, SyncOutcome::Duplicate);
    assert_eq!(entry(&report, "we_o").outcome, SyncOutcome::Missing);
    let taken = world.get(made.id);
    assert_eq!(
        (taken.description.as_deref(), taken.status),
        (Some("new"), EndpointStatus::Disabled)
    );
    assert_eq!(taken.secrets, made.secrets);
    assert_eq!(entry(&world.sync(Adopt::Ours).await, "we_1").outcome, SyncOutcome::Unchanged);
}

#[tokio::test]
async fn an_endpoint_made_by_hand_is_tied_by_the_uuid_in_its_url() {
    let world = World::new().await;
    let secrets = vec![Secret::new("whsec_a").unwrap()];
    let here = Endpoint::new(EndpointId(Uuid::from_u128(5)), "stripe", secrets);
    let here = world.endpoints.add(here).await.unwrap();
    world.fake.put("we_h", json!({"url": format!("{BASE}/webhooks/{}", here.id)}));
    let report = world.sync(Adopt::Nothing).await;
    assert_eq!(
        (entry(&report, "we_h").outcome, &entry(&report, "we_h").note),
        (SyncOutcome::Adopted, &None)
    );
    let tied = world.get(here.id);
    assert_eq!((there(&tied).id.as_deref(), &tied.secrets), (Some("we_h"), &here.secrets));
}

#[tokio::test]
async fn what_a_kill_cut_short_the_next_start_finishes() {
    let mut world = World::new().await;
    world.fail(Fault::LoseAllAfter);
    let AtStripeError::Open { id, .. } = world.at.create(&wanted()).await.unwrap_err() else {
        panic!("not open")
    };
    world.restart().await;
    // Nothing is decided while Stripe does not answer, nor with a host of another's endpoints.
    let mut begun = Begun::new(world.at.clone());
    begun.look().await;
    assert_eq!(world.get(id).status, EndpointStatus::Creating);
    world.fail(Fault::None);
    world.fake.put("we_x", json!({"url": format!("{BASE}/webhooks/{}", Uuid::from_u128(3))}));
    begun.look().await;
    let finished = world.get(id);
    assert_eq!(
        (finished.status, finished.secrets[0].expose()),
        (EndpointStatus::Enabled, "whsec_of_we_1")
    );
    assert_eq!(world.fake.ids(), ["we_1", "we_x"], "no second one was made, and none taken over");
    assert_eq!(world.endpoints.list().len(), 1);
    // It has done its work: what is there by now is not touched.
    let writes = world.writes().len();
    begun.look().await;
    Begun::new(world.at.clone()).look().await;
    assert_eq!(world.writes().len(), writes);
}

#[tokio::test]
async fn what_a_kill_cut_short_and_cannot_be_had_any_more_is_undone() {
    let mut world = World::new().await;
    for (fault, later) in [(Fault::Refuse, 0), (Fault::None, 24 * 3_600)] {
        world.fail(Fault::LoseAllAfter);
        let AtStripeError::Open { id, .. } = world.at.create(&wanted()).await.unwrap_err() else {
            panic!("not open")
        };
        if fault == Fault::Refuse {
            // It was never made.
            world.fake.there.lock().unwrap().clear();
        }
        world.clock.advance(Duration::from_secs(later));
        world.fail(fault);
        world.restart().await;
        Begun::new(world.at.clone()).look().await;
        assert!(world.endpoints.get(id).is_none(), "{fault:?}");
        assert!(world.store.endpoints().await.unwrap().is_empty(), "{fault:?}");
        assert!(world.fake.ids().is_empty(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_part_that_stripe_does_not_answer_stops_when_it_is_told_to() {
    let mut world = World::new().await;
    world.fail(Fault::LoseAllAfter);
    world.at.create(&wanted()).await.unwrap_err();
    world.restart().await;
    let stop = CancellationToken::new();
    let part = tokio::spawn(Begun::new(world.at.clone()).run(stop.clone()));
    let asked = world.double.asked().len();
    while world.double.asked().len() == asked {
        tokio::task::yield_now().await;
    }
    assert!(!part.is_finished(), "a part that ends by itself would stop the host");
    stop.cancel();
    part.await.unwrap();
}
