//! The contract suite on sled, and what is sled's own: the directory, damage, dictionaries.

mod crash;
mod directory;
mod faults;
mod mirror;
mod requests;

use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use crate::domain::clock::{ManualClock, Timestamp};
use crate::store::Store;
use crate::store::contract::{self, Engine, contract_tests};
use crate::store::objects::Sight;

use super::{SledConfig, SledStore};

/// A directory and the stores opened in it.
#[derive(Debug)]
struct Place(TempDir);

impl Place {
    fn config(&self) -> SledConfig {
        let sight = Some(Arc::new(contract::objects::TestSight) as Arc<dyn Sight>);
        SledConfig { sight, ..SledConfig::new(self.0.path().join("store")) }
    }

    fn open_sled(&self) -> Arc<SledStore> {
        SledStore::open(&self.config()).unwrap()
    }
}

impl Engine for Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open_at(&self, now: Timestamp) -> Arc<dyn Store> {
        let clock = Arc::new(ManualClock::at(now));
        SledStore::open(&SledConfig { clock, ..self.config() }).unwrap()
    }
}

contract_tests!(Place);

proptest! {
    #![proptest_config(ProptestConfig {
        // 32, or an eighth of PROPTEST_CASES.
        cases: ProptestConfig::default().cases / 8,
        max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_agrees_with_the_model(ops in contract::model::ops()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(contract::model::agrees::<Place>(ops));
    }
}
