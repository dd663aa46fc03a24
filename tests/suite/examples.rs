//! The example plugins in other languages, built from source and run on events in the real engine:
//! verdict, state, effects and log are those that `example-plugins/NAME/recorded` holds.
//!
//! The Rust ones are built and run by `host/tests/build_plugins.rs`.

use std::process::Command;

use signalbox_tests::host::{binary, root};

/// An example, what this machine must have for it, its settings, and the events it is tried on.
const EXAMPLES: [(&str, &str, &[&str], &[&str]); 5] = [
    (
        "dispute-watch",
        "npm",
        &["webhook=https://discord.com/api/webhooks/1/a"],
        &["charge.dispute.created", "charge.dispute.closed"],
    ),
    ("mrr-ledger", "npm", &[], &["customer.subscription.created", "customer.subscription.deleted"]),
    ("daily-digest", "python3", &[], &["charge.succeeded"]),
    ("daily-revenue", "cc", &[], &["charge.succeeded", "charge.refunded"]),
    ("refund-watch", "go", &[], &["charge.refunded"]),
];

#[test]
fn each_example_does_what_was_recorded() {
    for (name, needs, settings, events) in EXAMPLES {
        if Command::new(needs).arg("--version").output().is_err() {
            println!("{name}: skipped, for there is no `{needs}` on this machine");
            continue;
        }
        let example = root().join("example-plugins").join(name);
        let mut test = Command::new(binary().unwrap());
        test.arg("test").arg(&example).args(["--install", "--snapshot"]);
        test.arg(example.join("recorded"));
        test.args(settings.iter().flat_map(|setting| ["--setting", setting]));
        test.args(events.iter().flat_map(|event| ["--event", event]));
        let ended = test.output().unwrap();
        let said = [ended.stdout, ended.stderr].map(|t| String::from_utf8_lossy(&t).into_owned());
        assert!(ended.status.success(), "{name}: {}", said.join("\n"));
    }
}
