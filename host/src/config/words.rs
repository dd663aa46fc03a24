//! Typed values of single sections: order, head of line, networks, accounts at Stripe, switches.
//!
//! Those that other sections have too are in `value`.

use ipnet::IpNet;

use crate::http::webhook::Alias;
use crate::stripe::{AccountId, Connected};

use super::tree::{Node, Shape};
use super::value::{Fault, Scope, Value};

fn text(node: &Node) -> Result<&str, Fault> {
    match &node.shape {
        Shape::Text(text) => Ok(text.trim()),
        _ => Err(Fault::Form),
    }
}

/// `ordering`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ordering {
    Object,
    None,
}

impl Value for Ordering {
    const EXPECTED: &'static str =
        "`object` (deliveries about one object one after another) or `none`";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        match text(node)? {
            "object" => Ok(Self::Object),
            "none" => Ok(Self::None),
            _ => Err(Fault::Form),
        }
    }

    fn show(&self) -> Option<String> {
        Some(match self {
            Self::Object => "object".to_owned(),
            Self::None => "none".to_owned(),
        })
    }
}

/// `head_of_line`: after how many failures a delivery is overtaken; `None`: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeadOfLine(pub(super) Option<u32>);

impl Value for HeadOfLine {
    const EXPECTED: &'static str = "`block`, or `skip-after N` with a whole number from 1";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        let text = text(node)?;
        if text == "block" {
            return Ok(Self(None));
        }
        let number = text.strip_prefix("skip-after").and_then(|rest| rest.trim().parse().ok());
        let number = number.filter(|number| *number > 0).ok_or(Fault::Form)?;
        Ok(Self(Some(number)))
    }

    fn show(&self) -> Option<String> {
        Some(self.0.map_or_else(|| "block".to_owned(), |number| format!("skip-after {number}")))
    }
}

impl Value for Alias {
    const EXPECTED: &'static str =
        "a path with {uuid} as a whole part of it, such as `/stripe/webhook/{uuid}/`";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        text(node)?.parse().map_err(|_| Fault::Form)
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for IpNet {
    const EXPECTED: &'static str = "a network such as `10.1.0.0/16` or `fd00::/8`";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        let text = text(node)?;
        let network = text.parse::<Self>().ok();
        // One address is a network of its own.
        let alone = || text.parse::<std::net::IpAddr>().ok().map(Self::from);
        network.or_else(alone).ok_or(Fault::Form)
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

/// A boolean; text in the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Switch(pub(super) bool);

impl Value for Switch {
    const EXPECTED: &'static str = "`true` or `false`";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        match (&node.shape, node.origin.is_caller()) {
            (Shape::Bool(value), _) => Ok(Self(*value)),
            (Shape::Text(text), true) => text.trim().parse().map(Self).map_err(|_| Fault::Form),
            _ => Err(Fault::Form),
        }
    }

    fn show(&self) -> Option<String> {
        Some(self.0.to_string())
    }
}

impl Value for AccountId {
    const EXPECTED: &'static str = "an account's id such as `acct_1Nx2Yz`";

    fn read(node: &Node, _: &Scope<'_>) -> Result<Self, Fault> {
        Self::parse(text(node)?).map_err(|_| Fault::Form)
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for Connected {
    const EXPECTED: &'static str = "`all`, or a list of accounts' ids such as `[\"acct_1Nx2Yz\"]`";

    fn read(node: &Node, scope: &Scope<'_>) -> Result<Self, Fault> {
        if matches!(text(node), Ok("all")) {
            return Ok(Self::All);
        }
        let list = node.clone().into_list().map_err(|_| Fault::Form)?;
        let ids = list.iter().map(|node| AccountId::read(node, scope));
        Ok(Self::Only(ids.collect::<Result<_, _>>()?))
    }

    fn show(&self) -> Option<String> {
        match self {
            Self::All => Some("all".to_owned()),
            Self::Only(ids) if ids.is_empty() => None,
            Self::Only(ids) => {
                Some(ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
            }
        }
    }
}
