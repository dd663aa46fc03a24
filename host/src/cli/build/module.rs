//! From a module that knows nothing of the contract to a component: for languages whose compilers
//! have no place for it.
//!
//! Not the contract (`plugin::contract`), and not modules that hold it themselves (`encode`).

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, SourceMap};

use super::EncodeError;
use crate::plugin::contract::{FILES, WORLD};

/// The module whose functions the adapter provides, on top of WASI 0.2.
const PREVIEW1: &str = "wasi_snapshot_preview1";

/// Make a component of a module that was compiled against the contract's bindings and does not
/// hold the contract itself. What it wants of WASI's first version is adapted to the second.
pub(super) fn encode_with_contract(module: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let mut module = module.to_owned();
    embed(&mut module).map_err(EncodeError::Unreadable)?;
    let adapter = wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        // Unused where the module imports nothing of it.
        .and_then(|encoder| encoder.adapter(PREVIEW1, adapter))
        .and_then(ComponentEncoder::encode)
        .map_err(EncodeError::Foreign)
}

fn embed(module: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut sources = SourceMap::default();
    for (name, text) in FILES {
        sources.push_str(name, text);
    }
    let group = sources.parse().map_err(|(_, error)| anyhow::anyhow!("{error}"))?;
    let mut resolve = Resolve::default();
    let package = resolve.push_group(group)?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_does_not_export_the_handler_is_refused_by_its_name() {
        let module = wat::parse_str("(module (func (export \"f\")))").unwrap();
        let error = encode_with_contract(&module).unwrap_err();
        assert!(matches!(error, EncodeError::Foreign(_)), "{error}");
        assert!(error.to_string().contains("signalbox:plugin/handler@0.1.0"), "{error}");
    }
}
