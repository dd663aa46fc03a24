//! Keys of the mirror's rows: an object, its ambiguity, its earlier history.

use crate::domain::event::EventSeq;
use crate::domain::object::ObjectKey;

/// First byte of an object.
pub(in super::super) const OBJECT: u8 = b'o';
/// First byte of events that showed an object, those before the ones in its row.
pub(in super::super) const TOUCHED: u8 = b'O';
/// First byte of the index of ambiguous objects.
pub(in super::super) const AMBIGUOUS: u8 = b'q';

/// `o` or `q`, then provider, kind, mode (0 test, 1 live), account (empty: none) and identifier; each
/// text after its length (1). `None` when one is longer than that, or the account empty.
pub(in super::super) fn object(tag: u8, key: &ObjectKey) -> Option<Vec<u8>> {
    let account = key.account.as_deref();
    if account == Some("") {
        return None;
    }
    let mut out = vec![tag];
    text(&mut out, &key.provider)?;
    text(&mut out, &key.kind)?;
    out.push(u8::from(key.livemode));
    text(&mut out, account.unwrap_or_default())?;
    text(&mut out, &key.id)?;
    Some(out)
}

/// What the keys of a listing begin with.
pub(in super::super) fn objects(
    tag: u8,
    provider: Option<&str>,
    kind: Option<&str>,
    livemode: Option<bool>,
    account: Option<&str>,
) -> Option<Vec<u8>> {
    let mut out = vec![tag];
    let Some(provider) = provider else { return Some(out) };
    text(&mut out, provider)?;
    let Some(kind) = kind else { return Some(out) };
    text(&mut out, kind)?;
    let Some(livemode) = livemode else { return Some(out) };
    out.push(u8::from(livemode));
    let Some(account) = account else { return Some(out) };
    text(&mut out, account)?;
    Some(out)
}

/// The object in a key made by [`object`].
pub(in super::super) fn parse_object(tag: u8, key: &[u8]) -> Option<ObjectKey> {
    let rest = key.strip_prefix(&[tag])?;
    let (provider, rest) = parse_text(rest)?;
    let (kind, rest) = parse_text(rest)?;
    let (mode, rest) = rest.split_first()?;
    let (account, rest) = parse_text(rest)?;
    let (id, rest) = parse_text(rest)?;
    let account = Some(account).filter(|account| !account.is_empty());
    rest.is_empty().then_some(ObjectKey { provider, livemode: *mode == 1, kind, account, id })
}

/// The same object's key under another first byte.
pub(in super::super) fn retag(tag: u8, key: &[u8]) -> Vec<u8> {
    let mut out = key.to_vec();
    if let Some(first) = out.first_mut() {
        *first = tag;
    }
    out
}

/// `O`, the rest of the object's key, number of the first event (8).
pub(in super::super) fn touched(object: &[u8], first: EventSeq) -> Vec<u8> {
    let mut out = retag(TOUCHED, object);
    out.extend(first.0.to_be_bytes());
    out
}

/// The number in a key made by [`touched`].
pub(in super::super) fn parse_touched(key: &[u8]) -> Option<EventSeq> {
    key.last_chunk::<8>().map(|seq| EventSeq(u64::from_be_bytes(*seq)))
}

fn text(out: &mut Vec<u8>, text: &str) -> Option<()> {
    out.push(u8::try_from(text.len()).ok()?);
    out.extend(text.as_bytes());
    Some(())
}

fn parse_text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((String::from_utf8(text.to_vec()).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn objects_read_back_and_stay_apart(
            texts in prop::collection::vec(".{1,20}", 4), other in prop::collection::vec(".{1,20}", 4),
            live: bool, connected: bool,
        ) {
            let key = |texts: &[String]| ObjectKey {
                provider: texts[0].clone(),
                livemode: live,
                kind: texts[1].clone(),
                account: connected.then(|| texts[2].clone()),
                id: texts[3].clone(),
            };
            let (a, b) = (key(&texts), key(&other));
            let (x, y) = (object(OBJECT, &a).unwrap(), object(OBJECT, &b).unwrap());
            prop_assert_eq!(parse_object(OBJECT, &x), Some(a.clone()));
            prop_assert_eq!(parse_object(AMBIGUOUS, &retag(AMBIGUOUS, &x)), Some(a.clone()));
            prop_assert_eq!(parse_object(AMBIGUOUS, &x), None);
            prop_assert_eq!(x == y, a == b);
            prop_assert!(a == b || !y.starts_with(&x), "no key is the beginning of another");
            prop_assert_eq!(parse_touched(&touched(&x, EventSeq(7))), Some(EventSeq(7)));
            let account = a.account.as_deref().or(Some(""));
            let prefixes = [
                objects(OBJECT, None, None, None, None),
                objects(OBJECT, Some(&a.provider), None, Some(live), account),
                objects(OBJECT, Some(&a.provider), Some(&a.kind), None, account),
                objects(OBJECT, Some(&a.provider), Some(&a.kind), Some(live), account),
            ];
            for prefix in prefixes {
                prop_assert!(x.starts_with(&prefix.unwrap()));
            }
        }
    }

    #[test]
    fn what_is_too_long_has_no_key() {
        let key = |id: usize| ObjectKey {
            provider: "stripe".to_owned(),
            livemode: true,
            kind: "customer".to_owned(),
            account: None,
            id: "i".repeat(id),
        };
        assert!(object(OBJECT, &key(255)).is_some());
        assert!(object(OBJECT, &key(256)).is_none());
        assert!(object(OBJECT, &ObjectKey { account: Some(String::new()), ..key(1) }).is_none());
    }
}
