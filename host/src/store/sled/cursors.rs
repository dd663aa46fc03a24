//! Marks of how far something was read, between the domain and their rows.

use async_trait::async_trait;

use super::committer::Request;
use super::store::SledStore;
use super::{layout, rows};
use crate::domain::clock::Timestamp;
use crate::store::StoreError;
use crate::store::cursors::{CursorStore, MAX_NAME, Mark};

fn key(name: &str) -> Result<Vec<u8>, StoreError> {
    if name.len() > MAX_NAME {
        let (size, limit) = (name.len() as u64, MAX_NAME as u64);
        return Err(StoreError::TooLarge { what: "the name of a mark", size, limit });
    }
    Ok(layout::mark(name))
}

#[async_trait]
impl CursorStore for SledStore {
    async fn mark(&self, name: &str) -> Result<Option<Mark>, StoreError> {
        let key = key(name)?;
        self.read(move |shared| {
            let Some(value) = shared.table.get(&key)? else { return Ok(None) };
            let row: rows::Mark = rows::decode("a mark", value.bytes())?;
            let moment = Timestamp::from_millis;
            Ok(Some(Mark { upto: moment(row.upto), floor: moment(row.floor) }))
        })
        .await
    }

    async fn set_mark(&self, name: &str, mark: Mark) -> Result<(), StoreError> {
        let key = key(name)?;
        let row = rows::Mark { upto: mark.upto.as_millis(), floor: mark.floor.as_millis() };
        let value = Some(rows::encode(&row)?);
        self.ask(|reply| Request::Row { key, value, reply }).await.map(|_| ())
    }

    async fn place(&self, name: &str) -> Result<Option<String>, StoreError> {
        let key = key(name)?;
        self.read(move |shared| {
            let Some(value) = shared.table.get(&key)? else { return Ok(None) };
            let rows::Place(last) = rows::decode("a place", value.bytes())?;
            Ok(Some(last.to_owned()))
        })
        .await
    }

    async fn set_place(&self, name: &str, last: Option<&str>) -> Result<(), StoreError> {
        let key = key(name)?;
        if let Some(last) = last.filter(|last| last.len() > MAX_NAME) {
            let (size, limit) = (last.len() as u64, MAX_NAME as u64);
            return Err(StoreError::TooLarge { what: "the name of a place", size, limit });
        }
        let value = last.map(|last| rows::encode(&rows::Place(last))).transpose()?;
        self.ask(|reply| Request::Row { key, value, reply }).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store as _;
    use crate::store::sled::SledConfig;

    #[tokio::test]
    async fn a_mark_outlives_the_process_and_names_stay_apart() {
        let dir = tempfile::tempdir().unwrap();
        let config = SledConfig::new(dir.path().join("store"));
        let mark = |upto| Mark {
            upto: Timestamp::from_millis(upto),
            floor: Timestamp::from_millis(u64::MAX),
        };
        let store = SledStore::open(&config).unwrap();
        assert_eq!(store.mark("a").await.unwrap(), None);
        store.set_mark("a", mark(1)).await.unwrap();
        store.set_mark("a/b", mark(7)).await.unwrap();
        store.set_mark("a", mark(2)).await.unwrap();
        store.close().await.unwrap();
        drop(store);

        let store = SledStore::open(&config).unwrap();
        assert_eq!(store.mark("a").await.unwrap(), Some(mark(2)));
        assert_eq!(store.mark("a/b").await.unwrap(), Some(mark(7)));
        assert_eq!(store.mark("").await.unwrap(), None);
        let long = "x".repeat(MAX_NAME + 1);
        assert!(matches!(store.mark(&long).await, Err(StoreError::TooLarge { .. })));
        store.set_mark(&long[1..], mark(3)).await.unwrap();
        assert_eq!(store.place("p").await.unwrap(), None);
        store.set_place("p", Some("25 % off")).await.unwrap();
        drop(store);

        let store = SledStore::open(&config).unwrap();
        assert_eq!(store.place("p").await.unwrap().as_deref(), Some("25 % off"));
        store.set_place("p", None).await.unwrap();
        assert_eq!(store.place("p").await.unwrap(), None);
        assert!(matches!(
            store.set_place("p", Some(&long)).await,
            Err(StoreError::TooLarge { .. })
        ));
    }
}
