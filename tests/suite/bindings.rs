//! The bindings of C and Go are what `wit-bindgen` makes of the contract in `wit/0.1`. They are
//! kept, not generated in each build, so that a plugin needs no generator.
//!
//! Not those of Rust (`sdk/rust/tests/contract.rs`); other languages' tools read the contract itself.

use std::fs;
use std::path::{Path, PathBuf};

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};

/// The module of the Go SDK.
const GO: &str = "signalbox.internal/signalbox";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The files that a generator makes, by their names.
fn generated(mut generator: Box<dyn WorldGenerator>) -> Vec<(PathBuf, String)> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(repository().join("wit/0.1")).unwrap();
    let world = resolve.select_world(&[package], Some("plugin")).unwrap();
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files).unwrap();
    let files =
        files.iter().map(|(name, bytes)| (name.into(), String::from_utf8(bytes.to_vec()).unwrap()));
    files.collect()
}

/// Hold what is kept in `directory` to what was generated, and put the latter where it can be
/// copied from when the two differ as `seen` sees them.
fn hold(directory: &str, fresh: Vec<(PathBuf, String)>, seen: fn(&str) -> Vec<String>) {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bindings").join(directory);
    let mut changed = false;
    for (name, fresh) in fresh {
        let kept = fs::read_to_string(repository().join(directory).join(&name)).unwrap_or_default();
        changed |= seen(&kept) != seen(&fresh);
        let copy = place.join(name);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::write(copy, fresh).unwrap();
    }
    assert!(!changed, "the contract changed: cp -r {}/. {directory}", place.display());
}

#[test]
fn the_bindings_of_c_are_those_of_the_contract() {
    // The contract is put into the module by `signalbox build`, not by an object file.
    let options = wit_bindgen_c::Opts { no_object_file: true, ..Default::default() };
    hold("sdk/c/wasm", generated(options.build()), |text| vec![text.to_owned()]);
}

#[test]
fn the_bindings_of_go_are_those_of_the_contract() {
    let options = wit_bindgen_go::Opts {
        pkg_name: Some(format!("{GO}/internal/bindings")),
        export_pkg_name: Some(format!("{GO}/internal/guest")),
        ..Default::default()
    };
    // The SDK has the little that they want beside the contract, so that it needs no other module.
    let own = format!("{GO}/internal/wit/");
    let fresh: Vec<_> = generated(options.build())
        .into_iter()
        .map(|(name, text)| (name, text.replace("go.bytecodealliance.org/pkg/wit/", &own)))
        .collect();
    // What is kept went through `gofmt`, which a machine without Go has not: it sets spaces, orders
    // imports and takes semicolons away.
    hold("sdk/go/internal/bindings", fresh, |text| {
        let words = |line: &str| line.split_whitespace().collect::<String>().replace(';', "");
        let mut lines: Vec<String> =
            text.lines().map(words).filter(|line| !line.is_empty()).collect();
        lines.sort_unstable();
        lines
    });
}
