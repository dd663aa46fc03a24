//! The bindings in `src/host/bindings.rs` are what `wit-bindgen` makes of the contract in
//! `wit/0.1`. They are kept, not generated in each build, so that a plugin compiles without the
//! generator: it would be most of the time of a first build.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::fs;
use std::path::Path;

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};

const HEAD: &str = "//! The contract as Rust: made by `tests/contract.rs`, not by hand.\n\n";

fn generated(contract: &Path) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(contract).unwrap();
    let world = resolve.select_world(&[package], Some("plugin")).unwrap();
    let options = wit_bindgen_rust::Opts {
        format: true,
        pub_export_macro: true,
        export_macro_name: Some("__export_plugin".to_owned()),
        default_bindings_module: Some("::signalbox_sdk::__private::bindings".to_owned()),
        ..Default::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files).unwrap();
    let (_, source) = files.iter().next().unwrap();
    format!("{HEAD}{}", std::str::from_utf8(source).unwrap())
}

#[test]
fn the_bindings_are_those_of_the_contract() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kept = here.join("src/host/bindings.rs");
    let fresh = generated(&here.join("../../wit/0.1"));
    if fs::read_to_string(&kept).is_ok_and(|kept| kept == fresh) {
        return;
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bindings.rs");
    fs::write(&place, fresh).unwrap();
    panic!("the contract changed: cp {} {}", place.display(), kept.display());
}
