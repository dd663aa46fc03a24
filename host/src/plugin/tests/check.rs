//! What is said of a component that was built for something else: which function or interface,
//! what was expected, what it has, what to do.

use super::*;
use crate::plugin::error::Step;

const KINDS: &[&str] = &["charge.succeeded"];

/// A good component whose text was changed.
async fn changed(from: &str, to: &str) -> LoadError {
    let text = components::text(&components::spec("a", KINDS));
    assert!(text.contains(from), "{from} is not in {text}");
    load(&engine(), components::wat(&text.replace(from, to))).await.unwrap_err()
}

fn says(error: &LoadError, cause: &str, remedy: &str) {
    assert_eq!(error.step(), Step::Link, "{error}");
    assert!(error.to_string().contains(cause), "{error} has no `{cause}`");
    assert!(error.remedy().contains(remedy), "{} has no `{remedy}`", error.remedy());
}

#[tokio::test]
async fn a_newer_and_an_older_track_are_named() {
    let error = changed("plugin/kv@0.1.0", "plugin/kv@0.2.0").await;
    says(&error, "`signalbox:plugin/kv@0.2.0`", "signalbox:plugin@0.2.0, which is newer");
    let error = changed("plugin/handler@0.1.0", "plugin/handler@0.0.3").await;
    says(&error, "`signalbox:plugin/handler@0.0.3`", "signalbox:plugin@0.0.3, which is older");
    let error = changed("plugin/kv@0.1.0", "plugin/kv").await;
    says(&error, "`signalbox:plugin/kv`", "signalbox wit DIR");
}

#[tokio::test]
async fn a_later_version_of_the_track_loads_where_it_uses_nothing_new() {
    let text = components::text(&components::spec("a", KINDS));
    let later = components::wat(&text.replace("@0.1.0", "@0.1.9"));
    load(&engine(), later).await.unwrap();
}

#[tokio::test]
async fn a_function_that_differs_is_named() {
    let error = changed("\"operations\"", "\"operations\" \"other\"").await;
    says(
        &error,
        // Text is no toolchain's output, so that these are the engine's words (see `compare`).
        "export `get` has the wrong type",
        "signalbox wit DIR",
    );
}

#[tokio::test]
async fn a_component_without_the_handler_is_told_what_to_export() {
    let error = changed("plugin/handler@0.1.0", "other/handler@0.1.0").await;
    let LoadError::NoHandler(_) = error else { panic!("{error}") };
    says(&error, "it does not export `signalbox:plugin/handler`", "`signalbox:plugin/plugin`");
}

#[tokio::test]
async fn a_wasi_of_another_version_is_named_and_so_is_what_is_not_offered() {
    for (import, remedy) in [
        ("wasi:random/random@0.3.0", "version 0.2 alone"),
        ("wasi:random/random@0.2.0-rc-2023-11-10", "version 0.2 alone"),
        ("wasi:http/types@0.2.3", "`outbox`"),
        ("wasi:sockets/tcp@0.2.9", "no network"),
    ] {
        let text = components::text(&components::spec("a", KINDS));
        let more = format!("(component\n(import \"{import}\" (instance))");
        let bytes = components::wat(&text.replacen("(component", &more, 1));
        let error = load(&engine(), bytes).await.unwrap_err();
        says(&error, &format!("`{import}`"), remedy);
    }
    // A later release of what is offered is the same to a component that uses the old of it.
    let text = components::text(&components::spec("a", KINDS));
    let more = "(component\n(import \"wasi:random/random@0.2.99\" (instance))";
    load(&engine(), components::wat(&text.replacen("(component", more, 1))).await.unwrap();
}

#[tokio::test]
async fn what_is_not_granted_comes_with_lines_to_paste() {
    let asking = components::Spec {
        requests: vec![("outbox.emit".to_owned(), "reminder.*".to_owned())],
        ..components::spec("a", KINDS)
    };
    let bytes = Bytes::from(components::build(&asking));
    let seen = engine().inspect(bytes.clone(), &Policy::default()).await;
    let lines = "[plugin.a]\ngrants = [{ capability = \"outbox.emit\", scope = \"reminder.*\" }]";
    assert_eq!(seen.paste.as_deref(), Some(lines));
    let refusal = seen.refusal.unwrap();
    let error = engine().load(bytes, &Policy::default()).await.unwrap_err();
    assert_eq!((refusal.cause, refusal.remedy), (error.to_string(), error.remedy()));
    let seen = engine().inspect(components::noop("a", KINDS).into(), &Policy::default()).await;
    assert_eq!((seen.paste, seen.refusal.is_none()), (None, true));
}
