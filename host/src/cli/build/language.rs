//! The languages that plugins are written in, and how a project shows its own.
//!
//! Not their tools: each has a module beside this one.

use std::fmt;
use std::path::Path;

use super::BuildError;

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Language {
    /// Rust.
    Rust,
    /// JavaScript.
    #[value(name = "js", alias = "javascript")]
    JavaScript,
    /// TypeScript.
    #[value(name = "ts", alias = "typescript")]
    TypeScript,
    /// Python.
    #[value(alias = "py")]
    Python,
    /// Go.
    Go,
    /// C.
    C,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::JavaScript => "JavaScript",
            Self::TypeScript => "TypeScript",
            Self::Python => "Python",
            Self::Go => "Go",
            Self::C => "C",
        })
    }
}

/// The file that each language's own tools look for.
const MARKS: [(&str, Language); 4] = [
    ("Cargo.toml", Language::Rust),
    ("package.json", Language::JavaScript),
    ("pyproject.toml", Language::Python),
    ("go.mod", Language::Go),
];

/// What makes a project, for people.
pub(super) fn marks() -> String {
    let mut marks: Vec<&str> = MARKS.iter().map(|(mark, _)| *mark).collect();
    marks.push("*.c");
    marks.join(", ")
}

/// The language of the project in `directory`.
///
/// # Errors
/// [`BuildError::NoProject`] or [`BuildError::Ambiguous`].
pub(super) fn detect(directory: &Path) -> Result<Language, BuildError> {
    let found: Vec<_> =
        MARKS.iter().filter(|(mark, _)| directory.join(mark).is_file()).copied().collect();
    match found[..] {
        [(_, Language::JavaScript)] if directory.join("tsconfig.json").is_file() => {
            Ok(Language::TypeScript)
        }
        [(_, language)] => Ok(language),
        // C has no project file, and other languages' projects may hold some.
        [] if has_c(directory) || has_c(&directory.join("src")) => Ok(Language::C),
        [] => Err(BuildError::NoProject(directory.to_owned())),
        _ => Err(BuildError::Ambiguous {
            directory: directory.to_owned(),
            found: found.iter().map(|(mark, _)| *mark).collect(),
        }),
    }
}

fn has_c(directory: &Path) -> bool {
    let Ok(entries) = directory.read_dir() else { return false };
    entries.flatten().any(|entry| entry.path().extension().is_some_and(|e| e == "c"))
}
