//! What a delivery is about, as a number: deliveries of one plugin with the same number run one
//! after another.
//!
//! Not the running one after another (`line`).

use crate::domain::event::VerifiedEvent;

/// The number of the object that `event` is about: FNV-1a (Fowler, Noll, Vo) of provider, account,
/// type and identifier, each after its length. It is on disk and never changes. Two objects that
/// share a number wait for each other without need, and no more.
pub(super) fn of(event: &VerifiedEvent) -> Option<u64> {
    let object = event.object.as_ref()?;
    let account = event.account.as_deref().unwrap_or_default();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in [&event.key.provider, account, &object.kind, &object.id] {
        let length = (part.len() as u64).to_be_bytes();
        for byte in length.into_iter().chain(part.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    // In a row, 0 is "about no object".
    Some(hash.max(1))
}

#[cfg(test)]
mod tests {
    use crate::store::contract::event;

    use super::*;

    #[test]
    fn the_number_of_an_object_never_changes() {
        let new = event("evt_1", &[]);
        assert_eq!(of(&new.event), Some(LANE));
        let mut other = new.event.clone();
        other.account = None;
        assert_ne!(of(&other), of(&new.event));
        other.object = None;
        assert_eq!(of(&other), None);
    }

    /// As the first release wrote it.
    const LANE: u64 = 315_707_152_507_161_608;
}
