//! The `config` import: what the operator set for this plugin.

use std::collections::BTreeMap;

use wasmtime::Result;

use crate::plugin::bindings::signalbox::plugin::config::Host;
use crate::plugin::guest::{Abandoned, Guest, Role};

impl Guest {
    fn settings(&self, call: &'static str) -> Result<&BTreeMap<String, String>> {
        match &self.role {
            Role::Handling(handling) => Ok(&handling.settings),
            Role::Describing => Err(Abandoned::InDescribe(call).into()),
        }
    }
}

impl Host for Guest {
    fn get(&mut self, key: String) -> Result<Option<String>> {
        Ok(self.settings("config.get")?.get(&key).cloned())
    }

    fn get_all(&mut self) -> Result<Vec<(String, String)>> {
        let settings = self.settings("config.get-all")?;
        Ok(settings.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}
