//! What is done to the store while no host has it open.
//!
//! Not how (`store::sled`): only which directory it is, and that it is there.

use std::path::Path;
use std::sync::Arc;

use crate::config::Config;
use crate::domain::clock::SystemClock;
use crate::store::sled::{self, Compacted};

use super::wiring;

/// Copy the configuration's store into `to`, absent or empty. The store stays as it is.
///
/// # Errors
/// When there is no store, when a host has it open, or when either directory cannot be used.
pub(crate) fn compact(config: &Config, to: &Path) -> anyhow::Result<Compacted> {
    let from = wiring::store(config, Arc::new(SystemClock::new())).path;
    // Opening would make one.
    anyhow::ensure!(
        from.is_dir(),
        "there is no store in {}; name its data directory (store.path)",
        config.store.path.display()
    );
    Ok(sled::compact(&from, to)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store as _;
    use crate::store::sled::SledStore;

    #[tokio::test]
    async fn a_closed_store_is_copied_and_neither_an_open_nor_an_absent_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.store.path = dir.path().join("data");
        let to = dir.path().join("fresh");
        let absent = compact(&config, &to).unwrap_err();
        assert!(absent.to_string().contains("there is no store"), "{absent:#}");
        assert!(!config.store.path.exists() && !to.exists());

        std::fs::create_dir(&config.store.path).unwrap();
        let store = SledStore::open(&wiring::store(&config, Arc::new(SystemClock::new()))).unwrap();
        let open = compact(&config, &to).unwrap_err();
        assert!(open.to_string().contains("in use"), "{open:#}");
        store.close().await.unwrap();
        assert!(compact(&config, &to).unwrap().rows > 0);
        assert!(to.join("FORMAT").exists());
    }
}
