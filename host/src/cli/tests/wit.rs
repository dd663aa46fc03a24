//! `signalbox wit`, printed and written.

use std::fs;

use super::exit::Exit;
use super::host::{self, Ran};
use crate::config::Environment;
use crate::plugin::contract;

async fn wit(arguments: &[&str]) -> Ran {
    let cx = host::context(Environment::default(), false);
    host::run(&[&["wit"], arguments].concat(), cx).await
}

#[tokio::test]
async fn the_contract_is_printed_in_one_file_and_its_version_alone() {
    let ran = wit(&[]).await;
    assert_eq!(ran.stdout, contract::text());
    assert!(ran.stdout.contains("\ninterface outbox {\n"), "{}", ran.stdout);
    assert_eq!(wit(&["--version"]).await.stdout, "signalbox:plugin@0.1.0\n");
}

#[tokio::test]
async fn its_files_are_written_into_a_directory_and_others_there_stay() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("own.wit");
    fs::write(&own, "package my:own;\n").unwrap();
    let ran = wit(&[dir.path().to_str().unwrap()]).await;
    assert_eq!((ran.exit, ran.stdout.as_str()), (Exit::Done, ""));
    for (name, text) in contract::FILES {
        assert_eq!(fs::read_to_string(dir.path().join(name)).unwrap(), text, "{name}");
    }
    assert_eq!(fs::read_to_string(own).unwrap(), "package my:own;\n");

    let file = dir.path().join("kv.wit");
    let ran = wit(&[file.to_str().unwrap()]).await;
    assert_eq!(ran.exit, Exit::Failure);
    assert!(ran.error.contains("cannot write the contract to"), "{}", ran.error);
}
