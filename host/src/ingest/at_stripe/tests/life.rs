//! Making, changing and deleting; and what never reaches Stripe.

use super::*;

#[tokio::test]
async fn an_endpoint_is_made_there_and_kept_here_with_its_secret() {
    let mut world = World::new().await;
    let made = world.made().await;
    let there_id = there(&made).id.clone().unwrap();
    assert_eq!(made.secrets[0].expose(), format!("whsec_of_{there_id}"));
    assert_eq!((made.livemode, made.connect), (Some(false), Some(false)));
    assert_eq!(made.status, EndpointStatus::Enabled);
    assert_eq!(made.account.as_deref(), Some("default"));

    let writes = world.writes();
    assert_eq!(writes.len(), 1);
    assert_eq!(writes[0].header("idempotency-key"), Some(made.id.to_string().as_str()));
    let remote = world.fake.one(&there_id);
    assert_eq!(remote["url"], format!("{BASE}/webhooks/{}", made.id));
    assert_eq!(
        remote["metadata"],
        json!({"team": "billing", "signalbox_uuid": made.id.to_string()})
    );
    assert_eq!(remote["api_version"], "2025-03-31.basil");
    assert_eq!(remote["enabled_events"], json!(["charge.succeeded", "charge.failed"]));

    world.restart().await;
    assert_eq!(world.get(made.id), made);
    let plan = world.at.plan(&wanted()).unwrap();
    assert_eq!(plan["params"]["metadata"]["team"], "billing");
    assert_eq!(world.writes().len(), 1, "a plan calls nobody");
}

#[tokio::test]
async fn what_is_wrong_never_reaches_stripe_and_leaves_nothing() {
    let world = World::new().await;
    type Change = fn(&mut Wanted);
    let cases: [(&str, Change); 9] = [
        ("account", |w| w.account = Some("eu".into())),
        ("livemode", |w| {
            (w.account, w.livemode) = (Some("default".into()), Some(true));
        }),
        ("account", |w| w.livemode = Some(true)),
        ("base_url", |w| w.fields.base_url = Some("http://127.0.0.1:4242".into())),
        ("enabled_events[0]", |w| w.fields.enabled_events = Some(vec!["charge.suceeded".into()])),
        ("api_version", |w| w.fields.api_version = Some("newest".into())),
        ("metadata[a[b]]", |w| w.fields.metadata = Some([("a[b]".into(), "x".into())].into())),
        ("description", |w| w.fields.description = Some("d".repeat(2_000))),
        ("force", |w| w.force_unverified = true),
    ];
    for (param, change) in cases {
        let mut wanted = wanted();
        change(&mut wanted);
        match world.at.create(&wanted).await.unwrap_err() {
            AtStripeError::Unfit(unfit) => assert_eq!(unfit.param, param, "{unfit}"),
            AtStripeError::Endpoint(EndpointError::NothingToForce) if param == "force" => {}
            other => panic!("{param}: {other}"),
        }
    }
    assert!(world.double.asked().is_empty(), "Stripe was asked nothing at all");
    assert!(world.endpoints.list().is_empty() && world.store.endpoints().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_disabled_endpoint_stays_disabled_when_it_is_edited() {
    let world = World::new().await;
    let made = world.made().await;
    let we = there(&made).id.clone().unwrap();
    let disable = Edit { disabled: Some(true), ..Edit::default() };
    world.at.update(made.id, disable).await.unwrap();
    assert_eq!(world.fake.one(&we)["status"], "disabled");

    let edit = Edit {
        fields: Fields {
            enabled_events: Some(vec!["invoice.paid".into()]),
            base_url: Some("https://new.example.com".into()),
            description: Some(String::new()),
            metadata: Some([("team".into(), String::new()), ("x".into(), "y".into())].into()),
            ..Fields::default()
        },
        tolerance: Some(Duration::from_secs(60)),
        ..Edit::default()
    };
    let edited = world.at.update(made.id, edit).await.unwrap();
    let remote = world.fake.one(&we);
    assert_eq!(
        (remote["status"].as_str(), edited.status),
        (Some("disabled"), EndpointStatus::Disabled)
    );
    assert!(!world.writes().last().unwrap().body.contains("disabled"));
    assert_eq!(remote["enabled_events"], json!(["invoice.paid"]));
    assert_eq!(remote["url"], format!("https://new.example.com/webhooks/{}", made.id));
    assert_eq!(remote["metadata"], json!({"x": "y", "signalbox_uuid": made.id.to_string()}));
    assert_eq!((edited.description.as_deref(), edited.tolerance.as_secs()), (None, 60));
    assert_eq!(edited.secrets, made.secrets);

    // What concerns this host alone is no call.
    let calls = world.double.asked().len();
    let edit = Edit { tolerance: Some(Duration::from_secs(61)), ..Edit::default() };
    world.at.update(made.id, edit).await.unwrap();
    assert_eq!(world.double.asked().len(), calls);
    for edit in [
        Edit { connect: Some(true), ..Edit::default() },
        Edit {
            fields: Fields { api_version: Some("2020-08-27".into()), ..Fields::default() },
            ..Edit::default()
        },
    ] {
        let refused = world.at.update(made.id, edit).await.unwrap_err();
        assert!(refused.to_string().contains("make a new endpoint"), "{refused}");
    }
    // A change that Stripe refuses is none here.
    world.fail(Fault::Refuse);
    let enable = Edit { disabled: Some(false), ..Edit::default() };
    assert!(matches!(world.at.update(made.id, enable).await, Err(AtStripeError::Stripe(_))));
    assert_eq!(world.get(made.id).status, EndpointStatus::Disabled);
}

#[tokio::test]
async fn deleting_deletes_on_both_sides_unless_it_is_not_meant() {
    let world = World::new().await;
    let [first, second] = [world.made().await, world.made().await];
    world.fail(Fault::Down);
    assert!(world.at.delete(first.id, false).await.is_err());
    assert!(world.endpoints.get(first.id).is_some(), "it is still here");
    world.fail(Fault::None);
    world.at.delete(first.id, false).await.unwrap();
    assert_eq!(world.fake.ids(), [there(&second).id.clone().unwrap()]);
    assert!(world.endpoints.get(first.id).is_none());
    world.at.delete(second.id, true).await.unwrap();
    assert_eq!(world.fake.ids().len(), 1, "left at Stripe");
    let missing = world.at.delete(second.id, false).await.unwrap_err();
    assert!(matches!(missing, AtStripeError::Endpoint(EndpointError::Missing(_))));
    // What somebody deleted at Stripe is deleted here all the same.
    let third = world.made().await;
    world.fake.there.lock().unwrap().clear();
    world.at.delete(third.id, false).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_of_this_host_alone_is_edited_without_stripe() {
    let world = World::new().await;
    let secrets = vec![Secret::new("whsec_a").unwrap()];
    let here = Endpoint::new(EndpointId(Uuid::from_u128(1)), "stripe", secrets);
    let here = world.endpoints.add(here).await.unwrap();
    let edit = Edit { disabled: Some(true), livemode: Some(true), ..Edit::default() };
    let edited = world.at.update(here.id, edit).await.unwrap();
    assert_eq!((edited.status, edited.livemode), (EndpointStatus::Disabled, Some(true)));
    let fields = Fields { enabled_events: Some(vec!["*".into()]), ..Fields::default() };
    let refused = world.at.update(here.id, Edit { fields, ..Edit::default() }).await.unwrap_err();
    assert!(refused.to_string().contains("of this host alone"), "{refused}");
    world.at.delete(here.id, false).await.unwrap();
    assert!(world.double.asked().is_empty());
}
