//! Parameters in Stripe's nested form: `created[gte]=1`, `types[]=a`, `metadata[key]=value`.

use std::collections::BTreeMap;

use super::answer::Answer;

/// The parameters of one request, in the order they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Read `a=b&c=d`.
    pub(super) fn read(text: &str) -> Self {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name), decode(value))
        };
        Self(text.split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    /// Take the value of `name`, the last if there are several.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let mut found = None;
        self.0.retain(|(known, value)| {
            if known == name {
                found = Some(value.clone());
            }
            known != name
        });
        found
    }

    /// Take all of `name[]` and `name[0]`, in order.
    pub(super) fn take_list(&mut self, name: &str) -> Vec<String> {
        self.take_within(name).into_iter().map(|(_, value)| value).collect()
    }

    /// Take all of `name[key]`.
    pub(super) fn take_map(&mut self, name: &str) -> BTreeMap<String, String> {
        self.take_within(name).into_iter().collect()
    }

    fn take_within(&mut self, name: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        self.0.retain(|(known, value)| {
            let key = known.strip_prefix(name).and_then(|rest| rest.strip_prefix('['));
            match key.and_then(|rest| rest.strip_suffix(']')) {
                Some(key) => found.push((key.to_owned(), value.clone())),
                None => return true,
            }
            false
        });
        found
    }

    /// Take a whole number.
    pub(super) fn take_number(&mut self, name: &str) -> Result<Option<u64>, Answer> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let message = format!("Invalid integer: {text}");
        let refused = |_| Answer::error(400, "parameter_invalid_integer", &message, Some(name));
        text.parse().map(Some).map_err(refused)
    }

    /// What is left.
    pub(super) fn rest(&self) -> &[(String, String)] {
        &self.0
    }

    /// Nothing may be left.
    pub(super) fn finish(&self) -> Result<(), Answer> {
        match self.0.first() {
            Some((name, _)) => Err(Answer::unknown_param(name)),
            None => Ok(()),
        }
    }
}

/// Percent-encoding, and `+` for a blank.
fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next().unwrap_or(b'0'), bytes.next().unwrap_or(b'0')];
                let digits = String::from_utf8_lossy(&digits).into_owned();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&out).into_owned()
}
