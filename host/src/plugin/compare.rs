//! Two versions of the contract side by side, and a component beside the contract it is built for:
//! which function differs, what is expected and what is there.
//!
//! Not the refusal (`plugin::error`), and not what refuses: wasmtime does, without words a person
//! could use. Types are compared as they are written out in full, so that names of types and the
//! files they stand in do not matter and every field and case does.

use std::fmt::Write as _;

use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{
    Function, Handle, InterfaceId, PackageId, Resolve, Type, TypeDefKind, TypeId, WorldId,
    WorldItem,
};

use super::contract;

/// Most differences that are told: the first says it, and a wrong type differs everywhere.
const MOST: usize = 5;

/// Where a component differs from the contract that this host speaks; empty where it cannot be
/// told or lies elsewhere.
pub(super) fn differences(component: &[u8]) -> Vec<String> {
    let (Ok(DecodedWasm::Component(theirs, world)), Some((ours, package))) =
        (decode(component), parse(&contract::text()))
    else {
        return Vec::new();
    };
    between(&theirs, world, &ours, package)
}

fn between(theirs: &Resolve, world: WorldId, ours: &Resolve, package: PackageId) -> Vec<String> {
    let mut found = Vec::new();
    for (name, ty) in interfaces(theirs, world, Side::Imports) {
        let Some(&known) = ours.packages[package].interfaces.get(&name) else { continue };
        for (function, theirs_is) in functions(theirs, ty) {
            match functions(ours, known).into_iter().find(|(ours_is, _)| *ours_is == function) {
                None => found.push(format!(
                    "it imports `{name}.{function}`, which {} does not have",
                    contract::id()
                )),
                Some((_, expected)) if expected != theirs_is => found.push(format!(
                    "it imports `{name}.{function}` as `{theirs_is}`, and it is `{expected}`"
                )),
                Some(_) => {}
            }
        }
    }
    for (name, ty) in interfaces(theirs, world, Side::Exports) {
        let Some(&known) = ours.packages[package].interfaces.get(&name) else { continue };
        let there = functions(theirs, ty);
        for (function, expected) in functions(ours, known) {
            match there.iter().find(|(theirs_is, _)| *theirs_is == function) {
                None => found.push(format!("it does not export `{name}.{function}`")),
                Some((_, is)) if *is != expected => found.push(format!(
                    "it exports `{name}.{function}` as `{is}`, and it must be `{expected}`"
                )),
                Some(_) => {}
            }
        }
    }
    if found.len() > MOST {
        let more = found.len() - MOST;
        found.truncate(MOST);
        found.push(format!("and {more} more"));
    }
    found
}

/// A contract from its text.
pub(super) fn parse(text: &str) -> Option<(Resolve, PackageId)> {
    let mut resolve = Resolve::default();
    let package = resolve.push_source("contract.wit", text).ok()?;
    Some((resolve, package))
}

#[derive(Clone, Copy)]
enum Side {
    Imports,
    Exports,
}

/// The interfaces of the package that a world has on one side.
fn interfaces(resolve: &Resolve, world: WorldId, side: Side) -> Vec<(String, InterfaceId)> {
    let world = &resolve.worlds[world];
    let items = match side {
        Side::Imports => &world.imports,
        Side::Exports => &world.exports,
    };
    let of_package = |id: InterfaceId| {
        let interface = &resolve.interfaces[id];
        let name = &resolve.packages[interface.package?].name;
        let ours = contract::PACKAGE == format!("{}:{}", name.namespace, name.name);
        Some((interface.name.clone().filter(|_| ours)?, id))
    };
    let interface = |item: &WorldItem| match item {
        WorldItem::Interface { id, .. } => of_package(*id),
        _ => None,
    };
    items.values().filter_map(interface).collect()
}

/// The functions of an interface, each written out.
pub(super) fn functions(resolve: &Resolve, interface: InterfaceId) -> Vec<(String, String)> {
    let functions = resolve.interfaces[interface].functions.iter();
    functions.map(|(name, function)| (name.clone(), signature(resolve, function))).collect()
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let param = |p: &wit_parser::Param| format!("{}: {}", p.name, written(resolve, &p.ty));
    let params: Vec<String> = function.params.iter().map(param).collect();
    let mut text = format!("func({})", params.join(", "));
    if let Some(result) = &function.result {
        // Writing to a string does not fail.
        let _ = write!(text, " -> {}", written(resolve, result));
    }
    text
}

/// A type written out in full.
pub(super) fn written(resolve: &Resolve, ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".to_owned(),
        Type::U8 => "u8".to_owned(),
        Type::U16 => "u16".to_owned(),
        Type::U32 => "u32".to_owned(),
        Type::U64 => "u64".to_owned(),
        Type::S8 => "s8".to_owned(),
        Type::S16 => "s16".to_owned(),
        Type::S32 => "s32".to_owned(),
        Type::S64 => "s64".to_owned(),
        Type::F32 => "f32".to_owned(),
        Type::F64 => "f64".to_owned(),
        Type::Char => "char".to_owned(),
        Type::String => "string".to_owned(),
        Type::ErrorContext => "error-context".to_owned(),
        Type::Id(id) => defined(resolve, *id),
    }
}

fn defined(resolve: &Resolve, id: TypeId) -> String {
    let of = |ty: &Type| written(resolve, ty);
    let or_none = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_owned(), of);
    let list = |parts: Vec<String>| parts.join(", ");
    let def = &resolve.types[id];
    match &def.kind {
        TypeDefKind::Record(r) => {
            let fields = r.fields.iter().map(|f| format!("{}: {}", f.name, of(&f.ty)));
            format!("record {{ {} }}", list(fields.collect()))
        }
        TypeDefKind::Variant(v) => {
            let case = |c: &wit_parser::Case| match &c.ty {
                Some(ty) => format!("{}({})", c.name, of(ty)),
                None => c.name.clone(),
            };
            format!("variant {{ {} }}", list(v.cases.iter().map(case).collect()))
        }
        TypeDefKind::Enum(e) => {
            format!("enum {{ {} }}", list(e.cases.iter().map(|c| c.name.clone()).collect()))
        }
        TypeDefKind::Flags(f) => {
            format!("flags {{ {} }}", list(f.flags.iter().map(|f| f.name.clone()).collect()))
        }
        TypeDefKind::Tuple(t) => format!("tuple<{}>", list(t.types.iter().map(of).collect())),
        TypeDefKind::Option(ty) => format!("option<{}>", of(ty)),
        TypeDefKind::Result(r) => match (&r.ok, &r.err) {
            (None, None) => "result".to_owned(),
            (ok, None) => format!("result<{}>", or_none(ok)),
            (ok, err) => format!("result<{}, {}>", or_none(ok), or_none(err)),
        },
        TypeDefKind::List(ty) => format!("list<{}>", of(ty)),
        TypeDefKind::Map(key, value) => format!("map<{}, {}>", of(key), of(value)),
        TypeDefKind::FixedLengthList(ty, length) => format!("list<{}, {length}>", of(ty)),
        TypeDefKind::Future(ty) => format!("future<{}>", or_none(ty)),
        TypeDefKind::Stream(ty) => format!("stream<{}>", or_none(ty)),
        TypeDefKind::Type(ty) => of(ty),
        TypeDefKind::Handle(Handle::Own(of)) => format!("own<{}>", named(resolve, *of)),
        TypeDefKind::Handle(Handle::Borrow(of)) => format!("borrow<{}>", named(resolve, *of)),
        TypeDefKind::Resource | TypeDefKind::Unknown => named(resolve, id),
    }
}

fn named(resolve: &Resolve, id: TypeId) -> String {
    resolve.types[id].name.clone().unwrap_or_else(|| "resource".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a component built for a contract with this change.
    fn said(from: &str, to: &str) -> String {
        let text = contract::text();
        assert!(text.contains(from), "{from}");
        let (ours, package) = parse(&text).unwrap();
        let (theirs, other) = parse(&text.replacen(from, to, 1)).unwrap();
        let world = theirs.packages[other].worlds[contract::WORLD];
        between(&theirs, world, &ours, package).join("; ")
    }

    #[test]
    fn a_function_that_differs_is_named_with_both_types() {
        assert_eq!(said("interface kv {", "interface kv {"), "");
        let text = said(
            "        operations,\n    }\n\n    /// A page",
            "        operations,\n        other,\n    }\n\n    /// A page",
        );
        let limit = "enum { key-size, value-size, quota, operations";
        assert!(
            text.starts_with(&format!(
                "it imports `kv.get` as `func(key: string) -> result<option<list<u8>>, {limit}, other }}>`, \
                 and it is `func(key: string) -> result<option<list<u8>>, {limit} }}>`"
            )),
            "{text}"
        );
        let text = said("attempt: u32,", "attempt: u64,");
        assert!(text.starts_with("it exports `handler.handle` as `func("), "{text}");
        assert!(text.contains("and it must be `func("), "{text}");
    }

    #[test]
    fn a_function_that_one_side_does_not_have_is_named() {
        let kv = "interface kv {\n";
        let text = said(kv, &format!("{kv}    add: func(key: string) -> s64;\n"));
        assert_eq!(text, "it imports `kv.add`, which signalbox:plugin@0.1.0 does not have");
        let text = said("    describe: func()", "    name: func()");
        assert_eq!(text, "it does not export `handler.describe`");
    }

    #[test]
    fn a_component_of_a_toolchain_is_read_and_differs_nowhere() {
        let component = include_bytes!("tests/built-for-0.1.0/rust-dunning.wasm");
        assert!(matches!(decode(component), Ok(DecodedWasm::Component(..))));
        assert_eq!(differences(component), Vec::<String>::new());
    }
}
