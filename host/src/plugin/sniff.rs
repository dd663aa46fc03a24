//! What a file is, from its first bytes and its frame: before any parser sees it.

use std::ops::ControlFlow;

use super::error::LoadError;
use super::limits::MAX_COMPONENT;

const WASM: &[u8] = b"\0asm";
/// Version 13, layer 1: what every current toolchain writes for a component.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
/// A precompiled artefact is an ELF image.
const ELF: &[u8] = b"\x7fELF";

/// Let pass what has the outline of a component.
pub(super) fn component(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.is_empty() {
        return Err(LoadError::Empty);
    }
    if bytes.len() > MAX_COMPONENT {
        return Err(LoadError::TooLarge { size: bytes.len() });
    }
    if bytes.starts_with(COMPONENT) {
        return whole(bytes);
    }
    Err(if bytes.starts_with(MODULE) {
        LoadError::CoreModule
    } else if bytes.starts_with(ELF) {
        LoadError::Precompiled
    } else if bytes.starts_with(WASM) && bytes.len() >= COMPONENT.len() {
        LoadError::ForeignVersion
    } else if COMPONENT.starts_with(bytes) {
        LoadError::Truncated { have: bytes.len(), need: None }
    } else if std::str::from_utf8(bytes).is_ok() {
        LoadError::Text
    } else {
        LoadError::NotWasm
    })
}

/// Every section of the outermost level lies within the file.
fn whole(bytes: &[u8]) -> Result<(), LoadError> {
    let mut at = COMPONENT.len();
    while at < bytes.len() {
        // One byte of kind, then the size.
        let Some((size, length)) = leb128(bytes.get(at + 1..).unwrap_or_default()) else {
            return Err(LoadError::Truncated { have: bytes.len(), need: None });
        };
        at = at.saturating_add(1 + length).saturating_add(size);
        if at > bytes.len() {
            return Err(LoadError::Truncated { have: bytes.len(), need: Some(at) });
        }
    }
    Ok(())
}

/// An unsigned number of at most 32 bits and how many bytes it took. A number that is too long
/// is the parser's to refuse: it reads as zero here.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let read = bytes.iter().take(5).enumerate().try_fold(0_usize, |value, (i, byte)| {
        let value = value | (usize::from(byte & 0x7f) << (7 * i));
        if byte & 0x80 == 0 {
            ControlFlow::Break((value, i + 1))
        } else {
            ControlFlow::Continue(value)
        }
    });
    match read {
        ControlFlow::Break(found) => Some(found),
        ControlFlow::Continue(_) if bytes.len() < 5 => None,
        ControlFlow::Continue(_) => Some((0, 5)),
    }
}
