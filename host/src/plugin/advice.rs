//! What an author does about a component that was built for something else.
//!
//! Not whether it is refused (`plugin::load`), and not the operator's part (`plugin::lines`).

use semver::Version;

use super::contract;
use super::imports::is_wasi_0_2;
use super::load::split;

/// What to do about imports that nobody provides, each kind of them once.
pub(super) fn imports_remedy(imports: &[String]) -> String {
    let mut told: Vec<&str> = Vec::new();
    for import in imports {
        let advice = advice(import);
        if !told.contains(&advice) {
            told.push(advice);
        }
    }
    told.join("; ")
}

fn advice(import: &str) -> &'static str {
    let (name, version) = split(import);
    let package = name.split_once('/').map_or(name, |(package, _)| package);
    match package {
        "wasi:http" => {
            "a plugin has no network: ask the `outbox` for requests, which are sent after the \
             delivery is committed, and build without WASI's HTTP (componentize-js: \
             `-d http -d fetch-event`)"
        }
        "wasi:sockets" => {
            "a plugin has no network: build without WASI's sockets (`signalbox build` does; \
             componentize-py: `--stub-wasi`) and ask the `outbox` for requests"
        }
        "wasi:keyvalue" | "wasi:blobstore" => "use `kv` for what a plugin keeps",
        "wasi:config" => "use `config` for settings",
        "wasi:logging" => "use `log`, standard output or standard error",
        "wasi:messaging" => "use `outbox.emit` for messages to other plugins",
        "wasi:cli" | "wasi:clocks" | "wasi:filesystem" | "wasi:io" | "wasi:random" => {
            if is_wasi_0_2(version) {
                "that part of WASI 0.2 is not provided: build without what needs it"
            } else {
                "WASI is provided in version 0.2 alone: build for that (target wasm32-wasip2, or \
                 a toolchain's option)"
            }
        }
        _ if package.starts_with("wasi:") => {
            "of WASI 0.2 there are cli, clocks, filesystem, io and random: build without the rest"
        }
        contract::PACKAGE => {
            "this version of signalbox does not have it: use a newer one, or build with the files \
             that `signalbox wit DIR` of this one writes"
        }
        _ => {
            "link into the component whatever is not of signalbox or WASI 0.2 (`wac plug`), or \
             build without it"
        }
    }
}

/// What to do about a component that was built for this version of the contract.
pub(super) fn contract_remedy(built_for: Option<&str>) -> String {
    let parsed = |text: &str| Version::parse(text).ok();
    let ours = parsed(contract::VERSION);
    let again = "build it again with the files that `signalbox wit DIR` writes";
    match built_for.and_then(parsed).filter(|_| ours.is_some()) {
        Some(theirs) if Some(&theirs) > ours.as_ref() => format!(
            "it was built for {}@{theirs}, which is newer: use a signalbox that has it, or {again}",
            contract::PACKAGE
        ),
        Some(theirs) if Some(&theirs) < ours.as_ref() => format!(
            "it was built for {}@{theirs}, which is older than all that this signalbox runs: {again}",
            contract::PACKAGE
        ),
        _ => again.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remedy(imports: &[&str]) -> String {
        imports_remedy(&imports.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn each_kind_of_import_has_its_advice_once() {
        let text = remedy(&["wasi:http/types@0.2.3", "wasi:http/outgoing-handler@0.2.3"]);
        assert!(text.contains("`outbox`") && text.contains("-d http -d fetch-event"), "{text}");
        assert_eq!(text.matches("no network").count(), 1, "{text}");
        for (import, advice) in [
            ("wasi:sockets/tcp@0.2.9", "--stub-wasi"),
            ("wasi:keyvalue/store@0.2.0-draft", "use `kv`"),
            ("wasi:config/store@0.2.0-rc.1", "use `config`"),
            ("wasi:logging/logging", "use `log`"),
            ("wasi:messaging/producer@0.2.0", "`outbox.emit`"),
            ("wasi:io/poll@0.3.0", "version 0.2 alone"),
            ("wasi:io/poll@0.2.0-rc-2023-11-10", "version 0.2 alone"),
            ("wasi:cli/run@0.2.0", "that part of WASI 0.2"),
            ("wasi:nn/tensor@0.2.0", "build without the rest"),
            ("signalbox:plugin/wishes@0.1.0", "use a newer one"),
            ("acme:bank/ledger@1.0.0", "`wac plug`"),
        ] {
            assert!(remedy(&[import]).contains(advice), "{import}: {}", remedy(&[import]));
        }
        assert_eq!(remedy(&["wasi:nn/tensor@0.2.0", "acme:a/b"]).matches("; ").count(), 1);
    }

    #[test]
    fn a_newer_and_an_older_contract_are_told_apart() {
        for (built_for, advice) in [
            (Some("0.2.0"), "which is newer: use a signalbox that has it, or build it again"),
            (Some("0.1.7"), "which is newer"),
            (Some("0.0.9"), "which is older"),
            (Some("0.1.0"), "build it again with the files that `signalbox wit DIR` writes"),
            (Some("one"), "build it again"),
            (None, "build it again"),
        ] {
            let text = contract_remedy(built_for);
            assert!(text.contains(advice), "{built_for:?}: {text}");
        }
    }
}
