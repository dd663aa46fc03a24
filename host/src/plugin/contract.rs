//! The contract between the host and its plugins, `wit/0.1`, as the binary carries it.
//!
//! For `signalbox wit`, and for whoever makes or builds a project that holds a copy. Not the
//! contract as Rust (`plugin::bindings`) and not what is provided of it (`plugin::imports`).

use std::fs;
use std::io;
use std::path::Path;

/// The package, without its version.
pub const PACKAGE: &str = "signalbox:plugin";

/// The version of the package that this host speaks. A component built for any version of its
/// track runs here, as long as it uses nothing that came later.
pub const VERSION: &str = "0.1.0";

/// The package with its version, as a component names it.
#[must_use]
pub fn id() -> String {
    format!("{PACKAGE}@{VERSION}")
}

/// The world a component is built for.
pub const WORLD: &str = "plugin";

/// The files: their names, and what is in them. The first says what the package is.
pub const FILES: [(&str, &str); 8] = [
    ("types.wit", include_str!("../../../wit/0.1/types.wit")),
    ("world.wit", include_str!("../../../wit/0.1/world.wit")),
    ("handler.wit", include_str!("../../../wit/0.1/handler.wit")),
    ("log.wit", include_str!("../../../wit/0.1/log.wit")),
    ("config.wit", include_str!("../../../wit/0.1/config.wit")),
    ("kv.wit", include_str!("../../../wit/0.1/kv.wit")),
    ("objects.wit", include_str!("../../../wit/0.1/objects.wit")),
    ("outbox.wit", include_str!("../../../wit/0.1/outbox.wit")),
];

/// The contract in one file: the files, one after another, under one `package` line.
#[must_use]
pub fn text() -> String {
    let line = format!("package {};\n\n", id());
    let parts = FILES.iter().enumerate().map(|(place, (_, text))| {
        let text = if place == 0 { (*text).to_owned() } else { text.replacen(&line, "", 1) };
        text.trim_end().to_owned()
    });
    parts.collect::<Vec<_>>().join("\n\n") + "\n"
}

/// Write the files into `dir`, which is made if it is not there. A file that is the same already
/// is left alone, so that tools which look at times do no work for nothing.
///
/// # Errors
/// When the directory or a file cannot be written.
pub fn write(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for (name, text) in FILES {
        let path = dir.join(name);
        if !fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
            fs::write(path, text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_contract_is_carried() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/0.1");
        let mut there: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        there.sort_unstable();
        let mut carried = FILES.map(|(name, _)| name.to_owned());
        carried.sort_unstable();
        assert_eq!(there, carried);
    }

    #[test]
    fn every_file_is_of_the_version_that_is_told() {
        for (name, text) in FILES {
            let line = format!("package {};\n", id());
            assert_eq!(text.matches(&line).count(), 1, "{name}");
        }
        assert_eq!(text().lines().filter(|line| line.starts_with("package ")).count(), 1);
    }

    #[test]
    fn the_files_and_the_one_file_are_the_same_contract() {
        let dir = tempfile::tempdir().unwrap();
        let files = dir.path().join("a/wit");
        write(&files).unwrap();
        let one = dir.path().join("one.wit");
        fs::write(&one, text()).unwrap();
        let parsed = |path: &Path| {
            let mut resolve = wit_parser::Resolve::default();
            let (package, _) = resolve.push_path(path).unwrap();
            let world = resolve.select_world(&[package], Some(WORLD)).unwrap();
            let name = resolve.packages[package].name.to_string();
            (name, resolve.worlds[world].imports.len(), resolve.interfaces.len())
        };
        assert_eq!(parsed(&files), parsed(&one));
        assert_eq!(parsed(&one).0, id());
    }

    #[test]
    fn what_is_there_already_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path()).unwrap();
        let same = dir.path().join("kv.wit");
        let other = dir.path().join("log.wit");
        let before = fs::metadata(&same).unwrap().modified().unwrap();
        fs::write(&other, "old").unwrap();
        write(dir.path()).unwrap();
        assert_eq!(fs::metadata(&same).unwrap().modified().unwrap(), before);
        assert_ne!(fs::read_to_string(&other).unwrap(), "old");
    }
}
