//! Typed values and how they are written: durations, sizes, addresses, secrets.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use uuid::Uuid;

use crate::domain::clock::Timestamp;
use crate::domain::endpoint::{Secret, Validation};

use super::environment::Environment;
use super::secret::{SecretRef, SecretRefError};
use super::settings::LogFormat;
use super::tree::{Node, Shape};

/// What a value may need to be understood.
pub(super) struct Scope<'a> {
    pub(super) env: &'a Environment,
    /// The directory of the file; empty when there is none.
    pub(super) base: &'a Path,
}

/// Why a value was not taken.
pub(super) enum Fault {
    /// It is not what was expected.
    Form,
    /// It is what was expected, but not possible; says what would be.
    Expected(String),
    /// It refers to a secret that is not there.
    Secret(SecretRefError),
}

/// A type that a key can have.
pub(super) trait Value: Sized {
    /// What an author should write.
    const EXPECTED: &'static str;
    /// Whether errors must not repeat what is written.
    const SECRET: bool = false;

    fn read(node: &Node, scope: &Scope<'_>) -> Result<Self, Fault>;

    /// As `config show` prints it; `None` when it stands for "not set".
    fn show(&self) -> Option<String>;
}

/// Text, quoted in a file; numbers and the like are not taken for text there.
fn text(node: &Node) -> Result<&str, Fault> {
    match &node.shape {
        Shape::Text(text) => Ok(text),
        _ => Err(Fault::Form),
    }
}

impl Value for String {
    const EXPECTED: &'static str = "text";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        let text = text(node)?;
        if text.trim().is_empty() { Err(Fault::Form) } else { Ok(text.to_owned()) }
    }

    fn show(&self) -> Option<String> {
        Some(self.clone())
    }
}

impl Value for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn read(node: &Node, scope: &Scope<'_>) -> Result<Self, Fault> {
        let path = String::read(node, scope)?;
        Ok(if node.origin.is_caller() { Self::from(path) } else { scope.base.join(path) })
    }

    fn show(&self) -> Option<String> {
        Some(self.display().to_string())
    }
}

impl Value for SocketAddr {
    const EXPECTED: &'static str = "an address and a port such as `127.0.0.1:4242` or `[::1]:4242`";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        text(node)?.trim().parse().map_err(|_| Fault::Form)
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for Uuid {
    const EXPECTED: &'static str = "a UUID such as `6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11`";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        Self::try_parse(text(node)?.trim()).map_err(|_| Fault::Form)
    }

    fn show(&self) -> Option<String> {
        Some(self.hyphenated().to_string())
    }
}

impl Value for u64 {
    const EXPECTED: &'static str = "a whole number";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        match &node.shape {
            Shape::Number(number) => number.parse().map_err(|_| Fault::Form),
            Shape::Text(text) if node.origin.is_caller() => {
                text.trim().parse().map_err(|_| Fault::Form)
            }
            _ => Err(Fault::Form),
        }
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for Duration {
    const EXPECTED: &'static str = "a duration with its unit such as `500ms`, `300s`, `2h` or `7d`";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        let text = text(node)?.trim();
        if text == "0" {
            return Ok(Self::ZERO);
        }
        humantime::parse_duration(text).map_err(|_| Fault::Form)
    }

    /// In the largest unit that divides it.
    fn show(&self) -> Option<String> {
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        let millis = self.as_millis();
        let whole = |unit: &(u128, &str)| millis > 0 && millis.is_multiple_of(unit.0);
        Some(match units.iter().find(|unit| whole(unit)) {
            Some((unit, name)) => format!("{}{name}", millis / unit),
            None if millis == 0 => "0s".to_owned(),
            None => format!("{millis}ms"),
        })
    }
}

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) struct Size(pub(super) u64);

const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

impl Value for Size {
    const EXPECTED: &'static str = "a size such as `64MiB`, `512KiB` or `2GB`";

    fn read(node: &Node, scope: &Scope<'_>) -> Result<Self, Fault> {
        if let Ok(bytes) = u64::read(node, scope) {
            return Ok(Self(bytes));
        }
        let text = text(node)?.trim();
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = text.get(digits.len()..).unwrap_or_default();
        let factor = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let number = digits.trim_end().parse::<u64>();
        match (number, factor) {
            (Ok(number), Some((_, factor))) => {
                number.checked_mul(*factor).map(Self).ok_or(Fault::Form)
            }
            _ => Err(Fault::Form),
        }
    }

    fn show(&self) -> Option<String> {
        let exact = UNITS.iter().find(|(_, unit)| self.0 > 0 && self.0.is_multiple_of(*unit));
        Some(exact.map_or("0B".to_owned(), |(name, unit)| format!("{}{name}", self.0 / unit)))
    }
}

/// A bound that can be left away by a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound<T>(pub(super) Option<T>);

impl Value for Bound<Duration> {
    const EXPECTED: &'static str = "a duration such as `30d`, or `forever`";

    fn read(node: &Node, scope: &Scope<'_>) -> Result<Self, Fault> {
        match node.text().as_deref() {
            Some("forever") => Ok(Self(None)),
            _ => Duration::read(node, scope).map(|wait| Self(Some(wait))),
        }
    }

    fn show(&self) -> Option<String> {
        self.0.map_or(Some("forever".to_owned()), |wait| wait.show())
    }
}

impl Value for Bound<Size> {
    const EXPECTED: &'static str = "a size such as `20GiB`, or `unlimited`";

    fn read(node: &Node, scope: &Scope<'_>) -> Result<Self, Fault> {
        match node.text().as_deref() {
            Some("unlimited") => Ok(Self(None)),
            _ => Size::read(node, scope).map(|size| Self(Some(size))),
        }
    }

    fn show(&self) -> Option<String> {
        self.0.map_or(Some("unlimited".to_owned()), |size| size.show())
    }
}

impl Value for Bound<u64> {
    const EXPECTED: &'static str = "a whole number, or `unlimited`";

    fn read(node: &Node, scope: &Scope<'_>) -> Result<Self, Fault> {
        match node.text().as_deref() {
            Some("unlimited") => Ok(Self(None)),
            _ => u64::read(node, scope).map(|number| Self(Some(number))),
        }
    }

    fn show(&self) -> Option<String> {
        self.0.map_or(Some("unlimited".to_owned()), |number| number.show())
    }
}

/// A secret and the reference that led to it.
pub(super) struct Referred {
    reference: SecretRef,
    pub(super) secret: Secret,
}

impl Value for Referred {
    const EXPECTED: &'static str = "a secret: `env:NAME`, `file:PATH` or the secret itself";
    const SECRET: bool = true;

    fn read(node: &Node, scope: &Scope<'_>) -> Result<Self, Fault> {
        let reference = SecretRef::parse(text(node)?);
        let base = if node.origin.is_caller() { Path::new("") } else { scope.base };
        let secret = reference.resolve(scope.env, base).map_err(Fault::Secret)?;
        Ok(Self { reference, secret })
    }

    fn show(&self) -> Option<String> {
        Some(format!("{} (fingerprint {})", self.reference, self.secret.id().0))
    }
}

/// A signing secret and, while it is being rolled, its end.
pub(super) struct Signing(Referred);

impl Signing {
    pub(super) fn into_secret(self) -> Secret {
        self.0.secret
    }
}

impl Value for Signing {
    const EXPECTED: &'static str = "a secret: `env:NAME`, `file:PATH`, the secret itself, or \
        `{ secret = ..., not_after = 2027-01-31T00:00:00Z }`";
    const SECRET: bool = true;

    fn read(node: &Node, scope: &Scope<'_>) -> Result<Self, Fault> {
        let Shape::Table(table) = &node.shape else {
            return Referred::read(node, scope).map(Self);
        };
        if table.keys().any(|key| key != "secret" && key != "not_after") {
            return Err(Fault::Form);
        }
        let mut signing = Self(Referred::read(table.get("secret").ok_or(Fault::Form)?, scope)?);
        if let Some(end) = table.get("not_after") {
            let wish =
                || Fault::Expected("`not_after` as RFC 3339 with its zone, in UTC".to_owned());
            let text = end.text().ok_or_else(wish)?;
            let end = humantime::parse_rfc3339(&text).map_err(|_| wish())?;
            let since = end.duration_since(UNIX_EPOCH).map_err(|_| wish())?;
            signing.0.secret.not_after = Some(Timestamp::default().plus(since));
        }
        Ok(signing)
    }

    fn show(&self) -> Option<String> {
        let shown = self.0.show()?;
        Some(match self.0.secret.not_after {
            Some(end) => format!("{shown} until {end}"),
            None => shown,
        })
    }
}

/// An `http` or `https` URL without user, query or fragment; shown without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WebUrl(pub(super) String);

impl Value for WebUrl {
    const EXPECTED: &'static str = "a URL such as `https://hooks.example.com`";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        let url = url::Url::parse(text(node)?.trim()).map_err(|_| Fault::Form)?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !plain {
            let wish = "an `http` or `https` URL without user, query or fragment";
            return Err(Fault::Expected(wish.to_owned()));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    fn show(&self) -> Option<String> {
        Some(self.0.clone())
    }
}

impl Value for Validation {
    const EXPECTED: &'static str = "`verify_signature`, `retrieve_event` or `none`";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        Self::of_name(text(node)?).ok_or(Fault::Form)
    }

    fn show(&self) -> Option<String> {
        Some(self.name().to_owned())
    }
}

impl Value for LogFormat {
    const EXPECTED: &'static str = "`text` or `json`";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        match text(node)? {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(Fault::Form),
        }
    }

    fn show(&self) -> Option<String> {
        Some(match self {
            Self::Text => "text".to_owned(),
            Self::Json => "json".to_owned(),
        })
    }
}
