//! Why a file is not loaded: which step, what the cause is, what to do.
//!
//! Not how a run ended (`plugin::outcome`).

use serde::Serialize;

use super::advice::{contract_remedy, imports_remedy};
use super::compile;
use super::contract;
use super::filter::FilterError;
use super::limits::MAX_COMPONENT;
use super::lines::remedy;
use crate::domain::delivery::Outcome;
use crate::domain::grant::{Grant, GrantError};
use crate::domain::pattern::PatternError;
use crate::domain::plugin::{CapabilityRequest, NameError, PluginName};

/// The steps of loading, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Take the bytes.
    Read,
    /// See that they are a component.
    Parse,
    /// Turn it into machine code.
    Compile,
    /// Provide what it imports and find what it must export.
    Link,
    /// Ask it what it is.
    Describe,
    /// Check the answer.
    Manifest,
    /// Compare what it asks for with what the operator granted.
    Grants,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Parse => "parse",
            Self::Compile => "compile",
            Self::Link => "link",
            Self::Describe => "describe",
            Self::Manifest => "manifest",
            Self::Grants => "grants",
        })
    }
}

/// Why a file is not loaded. The text is the cause; [`LoadError::remedy`] says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Its bytes cannot be had.
    #[error("the file cannot be read: {cause}")]
    Unreadable {
        /// The system's words.
        cause: String,
    },
    /// No bytes.
    #[error("the file is empty")]
    Empty,
    /// More than [`MAX_COMPONENT`].
    #[error("the file has {size} bytes, and at most {MAX_COMPONENT} are loaded")]
    TooLarge {
        /// Bytes of the file.
        size: usize,
    },
    /// WebAssembly, but not a component.
    #[error("the file is a core WebAssembly module, not a component")]
    CoreModule,
    /// Machine code.
    #[error(
        "the file is precompiled machine code, which is never loaded from the plugins directory"
    )]
    Precompiled,
    /// Text.
    #[error("the file is text, not WebAssembly")]
    Text,
    /// Anything else.
    #[error("the file is not WebAssembly")]
    NotWasm,
    /// A version of the binary format this host does not read.
    #[error("the file is WebAssembly of a version that this host does not read")]
    ForeignVersion,
    /// It ends too early.
    #[error("the file is cut off: it has {have} bytes{}", need.map_or(String::new(), |n| format!(" and needs at least {n}")))]
    Truncated {
        /// Bytes it has.
        have: usize,
        /// Bytes its own sizes speak of, where they can be read.
        need: Option<usize>,
    },
    /// The compiler refused it.
    #[error("the component is not valid: {cause}")]
    Invalid {
        /// The compiler's words.
        cause: String,
    },
    /// The process that compiles it did not live to the end.
    #[error("compiling it takes more than {} GiB of memory or {} s of processor time, or the machine has no more: {cause}", compile::MAX_MEMORY >> 30, compile::MAX_CPU)]
    TooMuchToCompile {
        /// How the process ended.
        cause: String,
    },
    /// Imports that this host does not have.
    #[error("it imports what signalbox does not provide: {}", list(.0))]
    Imports(Vec<String>),
    /// No export of the contract.
    #[error("it does not export `signalbox:plugin/handler`; it exports {}", list(.0))]
    NoHandler(Vec<String>),
    /// A version of the contract this host does not speak.
    #[error("it is built for `{0}`, and this host speaks signalbox:plugin 0.1")]
    Contract(String),
    /// Names fit, types do not.
    #[error("its imports or exports differ from the contract {}: {cause}", contract::id())]
    Types {
        /// Where they differ.
        cause: String,
        /// The version of the contract it was built for.
        built_for: Option<String>,
    },
    /// `describe` did not answer.
    #[error("`describe` did not answer ({}): {reason}", outcome_name(*.outcome))]
    Describe {
        /// How it ended.
        outcome: Outcome,
        /// Why.
        reason: String,
    },
    /// `describe` answered with what is no manifest.
    #[error("its manifest is refused: {0}")]
    Manifest(#[from] ManifestError),
    /// It asks for more than it is granted.
    #[error("`{plugin}` asks for what it is not granted: {}", missing.iter().map(|r| format!("{} `{}`", r.capability, r.scope)).collect::<Vec<_>>().join(", "))]
    NotGranted {
        /// Who asks.
        plugin: PluginName,
        /// What of its requests is not covered.
        missing: Vec<CapabilityRequest>,
        /// What it is granted.
        granted: Vec<Grant>,
    },
    /// The host could not do its part.
    #[error("the host could not load it: {cause}")]
    Host {
        /// Why.
        cause: String,
    },
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The name.
    #[error("name: {0}")]
    Name(#[from] NameError),
    /// The name is a provider's.
    #[error(
        "name: `{0}` is a provider's; what this plugin emits would pass for that provider's events"
    )]
    ProvidersName(PluginName),
    /// The version.
    #[error("version: `{version}` is not a semantic version ({cause}); write e.g. `1.0.0`")]
    Version {
        /// As it came.
        version: String,
        /// What is wrong with it.
        cause: String,
    },
    /// It wants no events.
    #[error("subscriptions: there is none, so no event would ever reach it")]
    NoSubscription,
    /// It names too many sets of events.
    #[error(
        "subscriptions: there are {count}, and at most {most} are taken; use a prefix, e.g. `invoice.*`"
    )]
    TooManySubscriptions {
        /// How many.
        count: usize,
        /// The most.
        most: usize,
    },
    /// A subscription's provider.
    #[error(
        "subscriptions[{index}].provider: `{provider}` is not a provider's name; write e.g. `stripe`"
    )]
    Provider {
        /// Which subscription, from 0.
        index: usize,
        /// As it came.
        provider: String,
    },
    /// A subscription's pattern.
    #[error("subscriptions[{index}].kind: {cause}")]
    Pattern {
        /// Which subscription, from 0.
        index: usize,
        /// What is wrong with it.
        cause: PatternError,
    },
    /// A subscription's filter.
    #[error("subscriptions[{index}].filter: {cause}")]
    Filter {
        /// Which subscription, from 0.
        index: usize,
        /// What is wrong with it.
        cause: FilterError,
    },
    /// A request that cannot be read.
    #[error("requests[{index}]: {cause}")]
    Request {
        /// Which request, from 0.
        index: usize,
        /// What is wrong with it.
        cause: GrantError,
    },
    /// A request for a secret that can have no such name.
    #[error("requests[{index}]: `{name}` is no name of a secret; use letters, digits, `-` and `_`")]
    SecretName {
        /// Which request, from 0.
        index: usize,
        /// As it came.
        name: String,
    },
    /// It asks for too much.
    #[error("requests: there are {count}, and at most {most} are taken; ask for wider scopes")]
    TooManyRequests {
        /// How many.
        count: usize,
        /// The most.
        most: usize,
    },
    /// A known attribute with a value it cannot have.
    #[error("attributes: `{name}` is `{value}`; it must be {must}")]
    Attribute {
        /// Which.
        name: String,
        /// As it came.
        value: String,
        /// What it may be.
        must: &'static str,
    },
}

impl LoadError {
    /// The step that failed.
    #[must_use]
    pub const fn step(&self) -> Step {
        match self {
            Self::Unreadable { .. } | Self::Empty | Self::TooLarge { .. } | Self::Host { .. } => {
                Step::Read
            }
            Self::CoreModule
            | Self::Precompiled
            | Self::Text
            | Self::NotWasm
            | Self::ForeignVersion
            | Self::Truncated { .. } => Step::Parse,
            Self::Invalid { .. } | Self::TooMuchToCompile { .. } => Step::Compile,
            Self::Imports(_) | Self::NoHandler(_) | Self::Contract(_) | Self::Types { .. } => {
                Step::Link
            }
            Self::Describe { .. } => Step::Describe,
            Self::Manifest(_) => Step::Manifest,
            Self::NotGranted { .. } => Step::Grants,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Unreadable { .. } => "let the user that signalbox runs as read it".to_owned(),
            Self::Empty | Self::Truncated { .. } => {
                "copy the file again, to another name first and then rename it".to_owned()
            }
            Self::TooLarge { .. } => {
                "build it optimised for size and stripped of debug information".to_owned()
            }
            Self::CoreModule => "turn it into a component: `signalbox build` for a Rust project, \
                                 `wasm-tools component new` for others"
                .to_owned(),
            Self::Precompiled => {
                "put the component it was made from there; signalbox compiles and caches it"
                    .to_owned()
            }
            Self::Text => "build the component; a file that begins with `version https://git-lfs` \
                           must be fetched with `git lfs pull`"
                .to_owned(),
            Self::NotWasm | Self::ForeignVersion | Self::Invalid { .. } => {
                "build the component again with a current toolchain".to_owned()
            }
            Self::TooMuchToCompile { .. } => {
                "build it smaller (optimised for size, without what it does not use), or give the \
                 machine more memory"
                    .to_owned()
            }
            Self::Imports(imports) => imports_remedy(imports),
            Self::NoHandler(_) => format!(
                "build it for the world `{}/{}`; `signalbox wit DIR` writes its files",
                contract::PACKAGE,
                contract::WORLD
            ),
            Self::Contract(name) => contract_remedy(name.split_once('@').map(|(_, v)| v)),
            Self::Types { built_for, .. } => contract_remedy(built_for.as_deref()),
            Self::Describe { .. } => {
                "`describe` must answer at once, with a constant, and call no \
                                      function of signalbox"
                    .to_owned()
            }
            Self::Manifest(ManifestError::ProvidersName(_)) => {
                "give the plugin a name of its own and build it again".to_owned()
            }
            Self::Manifest(_) => "correct what `describe` answers and build it again".to_owned(),
            Self::NotGranted { plugin, missing, granted } => remedy(plugin, missing, granted),
            Self::Host { .. } => "see the host's log; the file may be good".to_owned(),
        }
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}

pub(super) const fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Retry => "retry",
        Outcome::Reject => "reject",
        Outcome::Crashed => "crashed",
        Outcome::OutOfTime => "out of time",
        Outcome::OutOfMemory => "out of memory",
        Outcome::HostFault => "host fault",
        Outcome::Saturated => "saturated",
    }
}
