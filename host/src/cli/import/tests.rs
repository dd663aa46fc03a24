//! Dumps as dj-stripe 2.8 and 2.11 write them, and what is made of them.

use super::*;

/// As 2.11 writes it.
const NEW: &str = r#"{"model": "djstripe.webhookendpoint", "pk": 1, "fields": {
    "djstripe_created": "2026-01-02T03:04:05Z", "djstripe_updated": "2026-01-02T03:04:05Z",
    "id": "we_1", "djstripe_owner_account": "acct_1", "livemode": true, "created": null,
    "metadata": {"djstripe_uuid": "6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11"},
    "api_version": "2024-11-20.acacia", "enabled_events": ["*"], "secret": "whsec_live",
    "status": "enabled", "url": "https://shop.example/stripe/webhook/6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11/",
    "application": "", "djstripe_uuid": "6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11",
    "djstripe_tolerance": 450, "djstripe_validation_method": "retrieve_event"}}"#;

/// As 2.8 writes it, on a database without JSON.
const OLD: &str = r#"{"model": "djstripe.webhookendpoint", "pk": 2, "fields": {
    "id": "we_2", "livemode": false, "enabled_events": "[\"charge.succeeded\"]",
    "secret": "whsec_test", "status": "enabled", "url": "https://shop.example/a/",
    "djstripe_uuid": "00000000-0000-4000-8000-000000000002", "tolerance": 300}}"#;

fn dump(entries: &[&str]) -> String {
    format!("[{}]", entries.join(","))
}

#[test]
fn both_shapes_are_read_and_other_models_left() {
    let user = r#"{"model": "auth.user", "pk": 1, "fields": {}}"#;
    let rows = djstripe::read(&dump(&[NEW, user, OLD])).unwrap();
    assert_eq!(rows.len(), 2);
    let request = rows[0].request();
    assert_eq!(request["id"], "6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11");
    assert_eq!(
        (&request["secrets"][0], &request["tolerance"]),
        (&json!("whsec_live"), &json!(450))
    );
    let shown = rows[0].shown("made", None);
    assert!(shown["note"].as_str().unwrap().contains("`retrieve_event`"));
    assert!(!shown.to_string().contains("whsec_live"));
    let old = rows[1].shown("made", None);
    assert_eq!((&old["mode"], &old["tolerance"]), (&json!("test"), &json!(300)));
    assert_eq!(
        (&old["enabled_events"][0], &old["note"]),
        (&json!("charge.succeeded"), &Value::Null)
    );
}

#[test]
fn what_is_no_dump_is_refused_with_how_to_make_one() {
    for text in ["", "{}", "[{}]", "[]", r#"[{"model":"auth.user","fields":{}}]"#] {
        let told = djstripe::read(text).unwrap_err().to_string();
        assert!(told.contains("dumpdata djstripe.WebhookEndpoint"), "{text}: {told}");
    }
    let odd = dump(&[&OLD.replace("00000000-0000-4000-8000-000000000002", "x")]);
    assert!(djstripe::read(&odd).unwrap_err().to_string().contains("djstripe_uuid"));
}

#[test]
fn what_cannot_be_proved_or_is_there_is_not_made() {
    let one = |text: &str| djstripe::read(&dump(&[text])).unwrap().remove(0);
    let row = one(NEW);
    assert_eq!(plan(&row, &[], false, false), Plan::Create);
    assert!(matches!(plan(&row, &[], true, false), Plan::Refuse(why) if why.contains("twice")));
    let fingerprint = row.secret.as_ref().unwrap().id().0;
    let there = |secret: &str| json!({"id": row.id.to_string(), "secrets": [{"id": secret}]});
    assert_eq!(plan(&row, &[there(&fingerprint)], false, false), Plan::There);
    let other = plan(&row, &[there("00000000")], false, false);
    assert!(matches!(other, Plan::Refuse(why) if why.contains("another secret")));
    let blank = one(&NEW.replace("whsec_live", ""));
    assert!(
        matches!(plan(&blank, &[], false, false), Plan::Refuse(why) if why.contains("no secret"))
    );
    let off = one(&NEW.replace("\"enabled\"", "\"disabled\""));
    assert!(matches!(plan(&off, &[], false, false), Plan::Skip(_)));
    assert_eq!(plan(&off, &[], false, true), Plan::Create);
}
