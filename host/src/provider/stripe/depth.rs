//! How deep a JSON text is nested.
//!
//! Not a parser: it is asked only about text that is known to be JSON. The parser skips what it
//! does not read without recursion, so it would accept any depth; those who read the body later
//! (handlers, in their own languages) would not.

/// Deepest nesting of arrays and objects in an event: what Stripe's libraries' JSON readers share.
pub(in crate::provider) const MAX_DEPTH: usize = 128;

/// Whether the JSON text `json` is nested deeper than [`MAX_DEPTH`].
pub(in crate::provider) fn too_deep(json: &[u8]) -> bool {
    // A plain count is vectorised and settles every ordinary body.
    let opened = json.iter().filter(|&&b| b == b'[' || b == b'{').count();
    opened > MAX_DEPTH && walk(json)
}

fn walk(json: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for &byte in json {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn depth_is_counted_outside_strings_alone() {
        assert!(!too_deep(nested(MAX_DEPTH).as_bytes()));
        assert!(too_deep(nested(MAX_DEPTH + 1).as_bytes()));
        let text = format!("[\"\\\"{}\"]", "[".repeat(1_000));
        assert!(!too_deep(text.as_bytes()));
        let flat = format!("[{}[]]", "{},".repeat(1_000));
        assert!(!too_deep(flat.as_bytes()));
        let after = format!("[\"\\\\\",{}]", nested(MAX_DEPTH));
        assert!(too_deep(after.as_bytes()));
    }
}
