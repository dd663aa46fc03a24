//! Taking the network out of a component that CPython's C library is part of.
//!
//! The library imports `wasi:sockets` whether a program uses them or not, and no plugin has them. What
//! it imports is answered inside the component by functions that trap; the SDK refuses in Python before
//! one is reached. Not for components that were written to use a network: those fail when they do.

use anyhow::{Context, Result, bail};
use wasm_encoder::reencode::{Reencode, ReencodeComponent};
use wasm_encoder::{
    Alias, Component, ComponentAliasSection, ComponentExportKind, ComponentImportSection,
    ComponentInstanceSection, ComponentSectionId, RawSection,
};
use wasmparser::{Chunk, ComponentTypeRef, Parser, Payload};
use wit_component::{ComponentEncoder, DecodedWasm, StringEncoding};
use wit_parser::{ManglingAndAbi, Resolve, WorldId};

/// What no plugin has.
const NETWORK: &str = "wasi:sockets/";

/// What their types refer to. Every WASI program has these.
const AROUND: [&str; 2] = ["wasi:io/", "wasi:clocks/"];

/// The component without imports of the network.
pub(super) fn without(component: &[u8]) -> Result<Vec<u8>> {
    let Some(stand_in) = stand_in(component)? else { return Ok(component.to_vec()) };
    let mut rewriting = Rewriting { out: Component::new(), instances: Vec::new(), stand_in: None };
    let mut parser = Parser::new(0);
    let mut rest = component;
    while !rest.is_empty() {
        let Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? else {
            bail!("the component is cut short");
        };
        rest = rest.get(consumed..).unwrap_or_default();
        let nested = match &payload {
            Payload::ModuleSection { unchecked_range, .. } => {
                Some((ComponentSectionId::CoreModule, unchecked_range.clone()))
            }
            Payload::ComponentSection { unchecked_range, .. } => {
                Some((ComponentSectionId::Component, unchecked_range.clone()))
            }
            _ => None,
        };
        match (nested, payload) {
            // What is inside has indices of its own.
            (Some((id, range)), _) => {
                let length = usize::try_from(range.end - range.start)?;
                let (data, after) = rest.split_at_checked(length).context("it is cut short")?;
                rewriting.out.section(&RawSection { id: id as u8, data });
                rest = after;
            }
            (None, Payload::ComponentImportSection(imports)) => {
                for import in imports {
                    let import = import?;
                    rewriting.import(import.name.name, import.ty, &stand_in)?;
                }
            }
            (None, payload) => {
                let mut out = std::mem::take(&mut rewriting.out);
                rewriting.parse_component_payload(&mut out, payload, component)?;
                rewriting.out = out;
            }
        }
    }
    Ok(rewriting.out.finish())
}

/// A component that exports what `component` imports of the network; `None` if that is nothing.
fn stand_in(component: &[u8]) -> Result<Option<Vec<u8>>> {
    let (mut resolve, world) = decode(component)?;
    let imports = std::mem::take(&mut resolve.worlds[world].imports);
    resolve.worlds[world].exports.clear();
    for (key, item) in imports {
        let name = resolve.name_world_key(&key);
        if name.starts_with(NETWORK) {
            resolve.worlds[world].exports.insert(key, item);
        } else if AROUND.iter().any(|around| name.starts_with(around)) {
            resolve.worlds[world].imports.insert(key, item);
        }
    }
    if resolve.worlds[world].exports.is_empty() {
        return Ok(None);
    }
    let mut module = wit_component::dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    let utf8 = StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, utf8)?;
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&module)?.encode().map(Some)
}

fn decode(component: &[u8]) -> Result<(Resolve, WorldId)> {
    match wit_component::decode(component)? {
        DecodedWasm::Component(resolve, world) => Ok((resolve, world)),
        DecodedWasm::WitPackage(..) => bail!("it is a contract and no component"),
    }
}

/// The component as it is written anew: one component and one instance more than there were, from
/// the place on where the first import of the network was.
struct Rewriting {
    out: Component,
    /// The imported instances so far.
    instances: Vec<String>,
    /// The index of the instance that stands in for the network.
    stand_in: Option<u32>,
}

impl Rewriting {
    fn import(&mut self, name: &str, ty: ComponentTypeRef, stand_in: &[u8]) -> Result<()> {
        let instance = matches!(ty, ComponentTypeRef::Instance(_));
        if instance && name.starts_with(NETWORK) {
            let instance = match self.stand_in {
                Some(index) => index,
                None => self.put(stand_in)?,
            };
            let kind = ComponentExportKind::Instance;
            let mut section = ComponentAliasSection::new();
            section.alias(Alias::InstanceExport { instance, kind, name });
            self.out.section(&section);
        } else {
            let mut section = ComponentImportSection::new();
            section.import(name, self.component_type_ref(ty)?);
            self.out.section(&section);
        }
        if instance {
            self.instances.push(name.to_owned());
        }
        Ok(())
    }

    /// Put the stand-in here. The index of its instance.
    fn put(&mut self, stand_in: &[u8]) -> Result<u32> {
        let (resolve, world) = decode(stand_in)?;
        let mut arguments = Vec::new();
        for key in resolve.worlds[world].imports.keys() {
            let name = resolve.name_world_key(key);
            let index = self.instances.iter().position(|instance| *instance == name);
            let index = index.with_context(|| format!("the network is imported before {name}"))?;
            arguments.push((name, ComponentExportKind::Instance, u32::try_from(index)?));
        }
        let id = ComponentSectionId::Component as u8;
        self.out.section(&RawSection { id, data: stand_in });
        let mut section = ComponentInstanceSection::new();
        section.instantiate(0, arguments);
        self.out.section(&section);
        let index = u32::try_from(self.instances.len())?;
        self.stand_in = Some(index);
        Ok(index)
    }
}

impl Reencode for Rewriting {
    type Error = std::convert::Infallible;
}

impl ReencodeComponent for Rewriting {
    fn component_index(&mut self, index: u32) -> u32 {
        index + u32::from(self.stand_in.is_some())
    }

    fn component_instance_index(&mut self, index: u32) -> u32 {
        index + u32::from(self.stand_in.is_some_and(|from| index >= from))
    }
}
