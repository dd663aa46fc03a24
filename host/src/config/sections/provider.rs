//! `[[provider]]`: senders that the operator describes.
//!
//! Not what a description means (`provider::custom`).

use crate::domain::notice;
use crate::domain::plugin::PluginName;
use crate::provider::BUILT_IN;
use crate::provider::Provider as _;
use crate::provider::custom::{
    Algorithm, CustomProvider, Description, Encoding, KeyForm, Source, Template, header_name,
};

use super::super::problem::Problem;
use super::super::reader::Table;
use super::super::tree::{Node, Shape};
use super::super::value::{Fault, Scope, Value};

pub(super) fn providers(tables: Vec<Table<'_>>) -> Vec<CustomProvider> {
    let mut providers: Vec<CustomProvider> = Vec::new();
    for mut table in tables {
        let name = table.required::<Name>("name").map(|name| name.0);
        let header = table.required::<Header>("header").map(|header| header.0);
        let description = Description {
            name: name.clone().unwrap_or_default(),
            header: header.clone().unwrap_or_default(),
            algorithm: table.value("algorithm", Algorithm::default()),
            encoding: table.value("encoding", Encoding::default()),
            prefix: table.optional("prefix").unwrap_or_default(),
            separator: table.optional::<Separator>("separator").map(|text| text.0),
            key: table.value("secret_encoding", KeyForm::default()),
            signed: table.value("signed", Template::default()),
            timestamp: table.optional::<Header>("timestamp").map(|header| header.0),
            id: table.optional("id"),
            kind: table.value("type", Source::Fixed(UNTYPED.to_owned())),
            object: table.optional("object"),
            object_kind: table.optional("object_kind"),
            account: table.optional("account"),
        };
        let taken = providers.iter().any(|other| Some(other.name()) == name.as_deref());
        if taken {
            conflict(&table, "name", "another provider has this name; each needs its own");
        } else if let (Some(_), Some(_)) = (name, header) {
            match CustomProvider::new(description) {
                Ok(provider) => providers.push(provider),
                Err(error) => conflict(&table, "signed", &error.to_string()),
            }
        }
        table.finish();
    }
    providers
}

/// The type of a sender's events where the description names no place for one.
const UNTYPED: &str = crate::provider::standard::UNTYPED;

fn conflict(table: &Table<'_>, name: &str, cause: &str) {
    table.reader().report(Problem::Conflict {
        key: table.key(name),
        cause: cause.to_owned(),
        origin: table.origin_of(name),
    });
}

fn text(node: &Node) -> Result<&str, Fault> {
    match &node.shape {
        Shape::Text(text) => Ok(text),
        _ => Err(Fault::Form),
    }
}

/// A provider's name: written as a plugin's, because the two share one space of names.
struct Name(String);

impl Value for Name {
    const EXPECTED: &'static str =
        "a name of lower-case letters, digits and hyphens such as `acme`";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        let name: PluginName = text(node)?.parse().map_err(|_| Fault::Form)?;
        if BUILT_IN.contains(&name.as_str()) || name.as_str() == notice::PROVIDER {
            let wish = "another name: the rules of this one are built in";
            return Err(Fault::Expected(wish.to_owned()));
        }
        Ok(Self(name.as_str().to_owned()))
    }

    fn show(&self) -> Option<String> {
        Some(self.0.clone())
    }
}

struct Header(String);

impl Value for Header {
    const EXPECTED: &'static str = "the name of a header such as `x-acme-signature`";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        header_name(text(node)?.trim()).map(Self).ok_or(Fault::Form)
    }

    fn show(&self) -> Option<String> {
        Some(self.0.clone())
    }
}

/// Blanks count.
struct Separator(String);

impl Value for Separator {
    const EXPECTED: &'static str = "what stands between signatures, such as `,` or a blank";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        let text = text(node)?;
        if text.is_empty() { Err(Fault::Form) } else { Ok(Self(text.to_owned())) }
    }

    fn show(&self) -> Option<String> {
        Some(self.0.clone())
    }
}

/// A value that is one of a few words.
macro_rules! words {
    ($type:ty, $expected:literal, $($word:literal => $value:expr),+) => {
        impl Value for $type {
            const EXPECTED: &'static str = $expected;

            fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
                match text(node)? {
                    $($word => Ok($value),)+
                    _ => Err(Fault::Form),
                }
            }

            fn show(&self) -> Option<String> {
                $(if *self == $value { return Some($word.to_owned()); })+
                None
            }
        }
    };
}

words!(Algorithm, "`sha256`, `sha1` or `sha512`",
    "sha256" => Self::Sha256, "sha1" => Self::Sha1, "sha512" => Self::Sha512);
words!(Encoding, "`hex` or `base64`", "hex" => Self::Hex, "base64" => Self::Base64);
words!(KeyForm, "`text`, `hex` or `base64`",
    "text" => Self::Text, "hex" => Self::Hex, "base64" => Self::Base64);

impl Value for Source {
    const EXPECTED: &'static str = "a place: `header:x-event-id`, `json:/data/id` or `fixed:text`";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        text(node)?.parse().map_err(|_| Fault::Form)
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for Template {
    const EXPECTED: &'static str = "what is signed, such as `{body}` or `{timestamp}.{body}`";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        text(node)?.parse().map_err(|error: crate::provider::custom::TemplateError| {
            Fault::Expected(format!("{} ({error})", Self::EXPECTED))
        })
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}
