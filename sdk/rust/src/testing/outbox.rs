//! What the test host keeps of effects: those of the run under way, and those that were committed.
//!
//! The rules are the contract's (`wit/outbox.wit`). Grants are the operator's, so everything is
//! granted unless the test says otherwise; what the real host calls ill-formed is not looked at but
//! for the mistakes that are easily made.

use std::time::Duration;

use serde_json::Value;

use crate::outbox::{EffectId, Refused};

/// What a plugin asked the host to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    /// What `send`, `emit` or `timer::set` returned.
    pub id: EffectId,
    /// What is to be done.
    pub action: Action,
    /// No earlier than this after the commit.
    pub delay: Duration,
    /// Where it stands.
    pub status: EffectStatus,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// A request.
    Http {
        /// Method.
        method: String,
        /// URL.
        url: String,
        /// Names and values; secrets stand as `{{secret:NAME}}`.
        headers: Vec<(String, String)>,
        /// Body.
        body: Vec<u8>,
        /// Type of the event that brings the answer.
        reply: Option<String>,
    },
    /// An event of the plugin's own.
    Emit {
        /// Type.
        kind: String,
        /// Media type.
        content_type: String,
        /// Body.
        body: Vec<u8>,
    },
}

/// Where an effect stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EffectStatus {
    /// It waits.
    Waiting,
    /// The test had it performed.
    Performed,
    /// The plugin withdrew it.
    Cancelled,
}

impl Effect {
    /// The URL of a request.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match &self.action {
            Action::Http { url, .. } => Some(url),
            Action::Emit { .. } => None,
        }
    }

    /// The type of an event.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        match &self.action {
            Action::Http { .. } => None,
            Action::Emit { kind, .. } => Some(kind),
        }
    }

    /// The first value of a request's header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let Action::Http { headers, .. } = &self.action else { return None };
        headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        match &self.action {
            Action::Http { body, .. } | Action::Emit { body, .. } => body,
        }
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    #[must_use]
    #[expect(clippy::panic, reason = "a failed expectation of a test")]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(self.body()) {
            Ok(value) => value,
            Err(error) => panic!("{} has no body of JSON: {error}", self.id),
        }
    }
}

/// The plugin's side of the outbox.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox {
    /// What was committed, in order.
    pub(crate) committed: Vec<Effect>,
    /// The delivery under way.
    delivery: String,
    asked: Vec<Effect>,
    cancels: Vec<EffectId>,
    operations: usize,
    bytes: usize,
    /// Nothing is granted.
    pub(crate) barren: bool,
}

impl Outbox {
    pub(crate) fn begin(&mut self, delivery: &str) {
        delivery.clone_into(&mut self.delivery);
    }

    /// End the run. What it asked for, if it is kept.
    pub(crate) fn end(&mut self, commit: bool) -> Vec<Effect> {
        let asked = std::mem::take(&mut self.asked);
        let cancels = std::mem::take(&mut self.cancels);
        (self.operations, self.bytes) = (0, 0);
        if !commit {
            return Vec::new();
        }
        for id in cancels {
            if let Some(effect) = self.find(&id) {
                effect.status = EffectStatus::Cancelled;
            }
        }
        for effect in &asked {
            match self.find(&effect.id) {
                // A replay does not perform again what was performed.
                Some(before) if before.status == EffectStatus::Performed => {}
                Some(before) => *before = effect.clone(),
                None => self.committed.push(effect.clone()),
            }
        }
        asked
    }

    pub(crate) fn find(&mut self, id: &EffectId) -> Option<&mut Effect> {
        self.committed.iter_mut().find(|effect| effect.id == *id)
    }

    pub(crate) fn ask(
        &mut self,
        action: Action,
        delay: Duration,
        most: (usize, usize),
    ) -> Result<EffectId, Refused> {
        let granted = match &action {
            Action::Http { method, url, .. } => format!("outbox.http `{method} {url}`"),
            Action::Emit { kind, .. } => format!("outbox.emit `{kind}`"),
        };
        if let Some(reason) = mistake(&action) {
            return Err(Refused::Invalid { reason });
        }
        if self.barren {
            return Err(Refused::NotGranted { grant: granted });
        }
        let (effects, bytes) = most;
        let size = match &action {
            Action::Http { method, url, headers, body, reply } => {
                let headers = headers.iter().map(|(name, value)| name.len() + value.len());
                method.len()
                    + url.len()
                    + headers.sum::<usize>()
                    + body.len()
                    + reply.as_ref().map_or(0, String::len)
            }
            Action::Emit { kind, content_type, body } => {
                kind.len() + content_type.len() + body.len()
            }
        };
        if self.bytes + size > bytes {
            return Err(Refused::Quota);
        }
        self.operation(effects)?;
        self.bytes += size;
        let id = EffectId(format!("{}.{}", self.delivery, self.asked.len()));
        let status = EffectStatus::Waiting;
        self.asked.push(Effect { id: id.clone(), action, delay, status });
        Ok(id)
    }

    pub(crate) fn cancel(&mut self, id: &str, most: usize) -> Result<bool, Refused> {
        let id = EffectId(id.to_owned());
        let invalid = |reason: String| Err(Refused::Invalid { reason });
        let Some((delivery, _)) = id.0.rsplit_once('.') else {
            return invalid(format!("`{id}` is not an effect id"));
        };
        if delivery == self.delivery {
            return invalid(format!("`{id}` is an effect of this very delivery"));
        }
        let plugin = |delivery: &str| delivery.rsplit('.').next().map(str::to_owned);
        if plugin(delivery) != plugin(&self.delivery) {
            return invalid(format!("`{id}` is an effect of another plugin"));
        }
        self.operation(most)?;
        if self.cancels.contains(&id) {
            return Ok(false);
        }
        let waits = self.find(&id).is_some_and(|e| e.status == EffectStatus::Waiting);
        if waits {
            self.cancels.push(id);
        }
        Ok(waits)
    }

    fn operation(&mut self, most: usize) -> Result<(), Refused> {
        if self.operations >= most {
            return Err(Refused::Quota);
        }
        self.operations += 1;
        Ok(())
    }
}

/// What the real host would refuse, as far as it is easily got wrong.
fn mistake(action: &Action) -> Option<String> {
    match action {
        Action::Http { method, url, headers, body, .. } => {
            let text = String::from_utf8_lossy(body);
            if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) {
                return Some(format!("`{method}` is no upper-case method such as `POST`"));
            }
            if !url.starts_with("https://") && !url.starts_with("http://") {
                return Some(format!("the URL `{url}` is not an absolute `https` URL"));
            }
            if url.contains("{{secret:") || text.contains("{{secret:") {
                return Some("a secret can stand in the value of a header alone".to_owned());
            }
            let lower = |name: &str| !name.is_empty() && *name == name.to_ascii_lowercase();
            let (name, _) = headers.iter().find(|(name, _)| !lower(name))?;
            Some(format!("`{name}` is no header name in lower case"))
        }
        Action::Emit { kind, .. } => {
            let bad = kind.contains('*') || kind.split('.').any(str::is_empty);
            bad.then(|| format!("`{kind}` is no event type such as `reminder.due`"))
        }
    }
}
