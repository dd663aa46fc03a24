//! What a file is, for `signalbox check`: everything that can be told without running it on an
//! event, or why it will not load.

use bytes::Bytes;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::engine::Engine;
use super::error::{LoadError, Step};
use super::lines;
use super::load::{HANDLER, Policy, Prepared, split};
use crate::domain::grant::{Grant, uncovered};
use crate::domain::plugin::{CapabilityRequest, CodeDigest, Limits, Manifest};

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// Bytes of the file.
    pub size: usize,
    /// SHA-256 of the file.
    #[serde(serialize_with = "digest_as_text")]
    pub digest: CodeDigest,
    /// What it imports, in its own order; known once it compiles.
    pub imports: Vec<String>,
    /// What it exports, likewise.
    pub exports: Vec<String>,
    /// Version of the contract it was built for.
    pub contract: Option<String>,
    /// Bytes of machine code.
    pub compiled_size: Option<usize>,
    /// Whether its instances live in the pool.
    pub pooled: Option<bool>,
    /// What it says of itself, requests included.
    pub manifest: Option<Manifest>,
    /// What the operator grants a plugin of this name, once that is known.
    pub grants: Vec<CapabilityRequest>,
    /// What it asks for that no grant covers.
    pub missing: Vec<CapabilityRequest>,
    /// The lines of `signalbox.toml` that would grant it; `None` where nothing is missing or no
    /// lines could.
    pub paste: Option<String>,
    /// What a delivery may use.
    pub limits: Option<Limits>,
    /// What is odd about it.
    pub warnings: Vec<String>,
    /// Why it will not load; `None` when it will.
    pub refusal: Option<Refusal>,
}

/// As people and the admin API write it, not as thirty-two numbers.
fn digest_as_text<S: Serializer>(digest: &CodeDigest, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(digest)
}

/// Why a file will not load.
#[derive(Debug, Clone, Serialize)]
pub struct Refusal {
    /// The step that refuses it.
    pub step: Step,
    /// Why.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

impl From<&LoadError> for Refusal {
    fn from(error: &LoadError) -> Self {
        Self { step: error.step(), cause: error.to_string(), remedy: error.remedy() }
    }
}

impl Engine {
    /// Look at a file the way loading it would.
    pub async fn inspect(&self, bytes: Bytes, policy: &Policy) -> Inspection {
        let mut seen = Inspection {
            size: bytes.len(),
            digest: CodeDigest(Sha256::digest(&bytes).into()),
            imports: Vec::new(),
            exports: Vec::new(),
            contract: None,
            compiled_size: None,
            pooled: None,
            manifest: None,
            grants: Vec::new(),
            missing: Vec::new(),
            paste: None,
            limits: None,
            warnings: Vec::new(),
            refusal: None,
        };
        if let Err(error) = self.look(&mut seen, bytes, policy).await {
            seen.refusal = Some(Refusal::from(&error));
        }
        seen
    }

    async fn look(
        &self,
        seen: &mut Inspection,
        bytes: Bytes,
        policy: &Policy,
    ) -> Result<(), LoadError> {
        let prepared = self.prepare(bytes).await?;
        seen.take(&prepared);
        let (linked, checked) = self.described(&prepared, policy).await?;
        seen.warnings.clone_from(&checked.warnings);
        let grants = policy.of(&checked.manifest.name).grants;
        seen.grants = grants.iter().map(Grant::shown).collect();
        // What cannot be read did not pass the manifest's check.
        seen.missing = uncovered(&checked.manifest.requests, &grants).unwrap_or_default();
        seen.paste = lines::paste(&checked.manifest.name, &seen.missing, &grants).ok();
        seen.manifest = Some(checked.manifest.clone());
        let loaded = self.admit(prepared, linked, checked, policy)?;
        seen.limits = Some(loaded.limits().clone());
        seen.pooled = Some(loaded.pooled());
        Ok(())
    }
}

impl Inspection {
    fn take(&mut self, prepared: &Prepared) {
        let ty = prepared.component.component_type();
        let engine = prepared.component.engine();
        self.imports = ty.imports(engine).map(|(name, _)| name.to_owned()).collect();
        self.exports = ty.exports(engine).map(|(name, _)| name.to_owned()).collect();
        self.compiled_size = Some(prepared.artefact.size());
        let handler = self.exports.iter().map(|name| split(name)).find(|(n, _)| *n == HANDLER);
        self.contract = handler.and_then(|(_, version)| version).map(str::to_owned);
    }
}
