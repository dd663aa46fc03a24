//! What is at Stripe and what is here, compared and brought together.
//!
//! Stripe's word holds: what was changed there is taken over. Nothing that works is deleted on
//! either side; what was begun and lost is finished or undone, and what is not ours is only told.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;

use super::begun::Recovered;
use super::wire::Remote;
use super::{AtStripe, AtStripeError};
use crate::domain::endpoint::{AtProvider, Endpoint, EndpointId, EndpointStatus, Origin};
use crate::stripe::{Account, Authority};

/// Which endpoints at Stripe that say they are signalbox's, and are not known here, are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Adopt {
    /// Those whose URL is this host's, by `server.public_url`.
    #[default]
    Ours,
    /// All: those of another host with the same account, and dj-stripe's.
    All,
    /// None.
    Nothing,
}

/// What is asked of a comparison.
#[derive(Debug, Clone, Default)]
pub struct SyncWish {
    /// The configured account, by name; all where nothing is said.
    pub account: Option<String>,
    /// What is taken over.
    pub adopt: Adopt,
    /// Only tell.
    pub dry_run: bool,
}

/// What became of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SyncOutcome {
    /// Both sides agree.
    Unchanged,
    /// What was changed at Stripe is known here now.
    Updated,
    /// It was at Stripe alone, and is here now, or is tied to the one here.
    Adopted,
    /// It was being made, and is whole now.
    Finished,
    /// It was being made, and is gone on both sides now.
    Undone,
    /// It was replaced, and is deleted at Stripe now.
    Retired,
    /// It was replaced, and still posts what it has.
    Retiring,
    /// A second one at Stripe for an endpoint here. It is left alone.
    Duplicate,
    /// It says it is signalbox's or dj-stripe's, and its URL is not this host's. Left alone.
    Elsewhere,
    /// The configuration declares it here. Left alone.
    Configured,
    /// It is here alone: somebody deleted it at Stripe. Left alone.
    Missing,
}

/// A field that differed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its name, as at Stripe.
    pub field: &'static str,
    /// What was known here.
    pub here: String,
    /// What Stripe has.
    pub there: String,
}

/// What is told of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SyncEntry {
    /// The id in its URL, where it has one.
    pub id: Option<String>,
    /// Stripe's own.
    pub provider_id: Option<String>,
    /// The account, by the operator's name.
    pub account: String,
    /// Where Stripe posts to.
    pub url: String,
    /// What became of it.
    pub outcome: SyncOutcome,
    /// What differed.
    pub differences: Vec<Difference>,
    /// What somebody should do.
    pub note: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SyncReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// One entry for each endpoint that is ours or says so.
    pub data: Vec<SyncEntry>,
    /// Endpoints at Stripe that have nothing to do with signalbox.
    pub others: usize,
}

/// The state of one run.
struct Run<'a> {
    at_stripe: &'a AtStripe,
    wish: &'a SyncWish,
    account: &'a Arc<Account>,
    report: &'a mut SyncReport,
}

impl AtStripe {
    /// Compare both sides and bring them together.
    ///
    /// # Errors
    /// [`AtStripeError`]; what was done until then holds, and doing it again goes on.
    pub async fn sync(&self, wish: &SyncWish) -> Result<SyncReport, AtStripeError> {
        let accounts: Vec<Arc<Account>> = match &wish.account {
            Some(name) => vec![Arc::clone(self.account(Some(name), None)?)],
            None if self.inner.accounts.is_empty() => {
                self.account(None, None)?;
                Vec::new()
            }
            None => self.inner.accounts.iter().cloned().collect(),
        };
        let _turn = self.inner.turn.lock().await;
        let mut report = SyncReport { dry_run: wish.dry_run, ..SyncReport::default() };
        for account in &accounts {
            Run { at_stripe: self, wish, account, report: &mut report }.run().await?;
        }
        Ok(report)
    }
}

impl Run<'_> {
    async fn run(&mut self) -> Result<(), AtStripeError> {
        let authority = Authority::own(self.account);
        let all = self.at_stripe.listed(&authority).await?;
        let mut here = self.at_stripe.inner.endpoints.list();
        here.retain(|endpoint| self.is_mine(endpoint));
        let mut told = HashSet::new();
        for endpoint in &here {
            if endpoint.status == EndpointStatus::Creating {
                self.lost(endpoint, &authority, &all, &mut told).await?;
            }
        }
        for remote in &all {
            if !told.contains(&remote.id) {
                self.found(remote, &mut told).await?;
            }
        }
        for endpoint in &here {
            self.missing(endpoint, &all);
        }
        Ok(())
    }

    /// Whether it is kept in this account.
    fn is_mine(&self, endpoint: &Endpoint) -> bool {
        endpoint.at_provider.is_some()
            && endpoint.account.as_deref().is_none_or(|name| name == self.account.name)
            && endpoint.livemode.is_none_or(|live| live == self.account.mode().is_live())
    }

    /// One that was being made when the host stopped, or Stripe did not answer.
    async fn lost(
        &mut self,
        endpoint: &Endpoint,
        authority: &Authority,
        all: &[Remote],
        told: &mut HashSet<String>,
    ) -> Result<(), AtStripeError> {
        let there = endpoint.at_provider.clone().unwrap_or_default();
        let made: Vec<&Remote> =
            all.iter().filter(|remote| remote.marked() == Some(endpoint.id)).collect();
        told.extend(made.iter().map(|remote| remote.id.clone()));
        let mut id = made.first().map(|remote| remote.id.clone());
        let recovered = if !self.wish.dry_run {
            self.at_stripe.recover(endpoint, authority, &made).await?
        } else if self.at_stripe.can_be_finished(endpoint) {
            Recovered::Finished(id.clone())
        } else {
            Recovered::Undone("it was begun more than a day ago and its secret is lost".to_owned())
        };
        let (outcome, note) = match recovered {
            Recovered::Finished(there) => {
                told.extend(there.clone());
                id = there;
                (SyncOutcome::Finished, None)
            }
            Recovered::Undone(why) => (SyncOutcome::Undone, Some(why)),
        };
        self.tell(Some(endpoint.id), id, &there.url, outcome, note);
        Ok(())
    }

    /// One that is at Stripe.
    async fn found(
        &mut self,
        remote: &Remote,
        told: &mut HashSet<String>,
    ) -> Result<(), AtStripeError> {
        let endpoints = &self.at_stripe.inner.endpoints;
        let addressed = remote.addressed().filter(|id| endpoints.get(*id).is_some());
        let Some(id) = remote.marked().or(addressed) else {
            self.report.others += 1;
            return Ok(());
        };
        told.insert(remote.id.clone());
        let Some(endpoint) = endpoints.get(id) else { return self.adopt(id, remote).await };
        if endpoint.origin == Origin::Config {
            self.tell_of(id, remote, SyncOutcome::Configured, None);
            return Ok(());
        }
        let Some(there) = &endpoint.at_provider else { return self.tie(&endpoint, remote).await };
        if let Some((_, end)) = there.retiring.iter().find(|(old, _)| *old == remote.id) {
            let now = self.at_stripe.inner.clock.now();
            if *end > now {
                let note = format!("it was replaced and is deleted at {end}");
                self.tell_of(id, remote, SyncOutcome::Retiring, Some(note));
                return Ok(());
            }
            if !self.wish.dry_run {
                self.at_stripe.retire(&endpoint, now).await?;
            }
            self.tell_of(id, remote, SyncOutcome::Retired, None);
            return Ok(());
        }
        if there.id.as_deref().is_some_and(|known| known != remote.id) {
            let note = format!(
                "Stripe posts each event twice; if {} is the answer that a `roll-secret --replace` \
                 lost, ask for the same again, else delete it at Stripe",
                remote.id
            );
            self.tell_of(id, remote, SyncOutcome::Duplicate, Some(note));
            return Ok(());
        }
        self.compare(&endpoint, there, remote).await
    }

    async fn compare(
        &mut self,
        endpoint: &Endpoint,
        there: &AtProvider,
        remote: &Remote,
    ) -> Result<(), AtStripeError> {
        let differences = differences(endpoint, there, remote);
        let outcome = match differences.is_empty() {
            true => SyncOutcome::Unchanged,
            false => SyncOutcome::Updated,
        };
        if outcome == SyncOutcome::Updated && !self.wish.dry_run {
            let kept = remote.kept(there.retiring.clone());
            self.take(endpoint.id, remote, kept).await?;
        }
        let note = secretless(endpoint);
        self.tell_of(endpoint.id, remote, outcome, note);
        if let Some(entry) = self.report.data.last_mut() {
            entry.differences = differences;
        }
        Ok(())
    }

    /// Tie an endpoint that is here to the one at Stripe that posts to it.
    async fn tie(&mut self, endpoint: &Endpoint, remote: &Remote) -> Result<(), AtStripeError> {
        let live = self.account.mode().is_live();
        if endpoint.livemode.is_some_and(|declared| declared != live)
            || endpoint.account.as_ref().is_some_and(|name| *name != self.account.name)
        {
            let note = "the endpoint here is declared for another account or mode";
            self.tell_of(endpoint.id, remote, SyncOutcome::Duplicate, Some(note.to_owned()));
            return Ok(());
        }
        if !self.wish.dry_run {
            self.take(endpoint.id, remote, remote.kept(Vec::new())).await?;
        }
        self.tell_of(endpoint.id, remote, SyncOutcome::Adopted, secretless(endpoint));
        Ok(())
    }

    /// Take Stripe's word on an endpoint of ours.
    async fn take(
        &self,
        id: EndpointId,
        remote: &Remote,
        kept: AtProvider,
    ) -> Result<(), AtStripeError> {
        let account = self.account;
        let change = |endpoint: &mut Endpoint| {
            endpoint.description = remote.description.clone().filter(|text| !text.is_empty());
            endpoint.status = remote.status();
            endpoint.account = Some(account.name.clone());
            endpoint.livemode = Some(account.mode().is_live());
            endpoint.at_provider = Some(kept);
        };
        self.at_stripe.inner.endpoints.change(id, change).await?;
        Ok(())
    }

    /// Take over one that is at Stripe alone.
    async fn adopt(&mut self, id: EndpointId, remote: &Remote) -> Result<(), AtStripeError> {
        let base = self.at_stripe.inner.public_url.as_deref().unwrap_or_default();
        let base = base.trim_end_matches('/');
        let ours = !base.is_empty() && remote.url.starts_with(&format!("{base}/"));
        let wanted = match self.wish.adopt {
            Adopt::Ours => ours,
            Adopt::All => true,
            Adopt::Nothing => false,
        };
        if !wanted {
            let note = "its URL is not below `server.public_url`, or it was not to be adopted; \
                        `--adopt all` takes it over";
            self.tell_of(id, remote, SyncOutcome::Elsewhere, Some(note.to_owned()));
            return Ok(());
        }
        let endpoint = Endpoint {
            description: remote.description.clone().filter(|text| !text.is_empty()),
            account: Some(self.account.name.clone()),
            livemode: Some(self.account.mode().is_live()),
            // An endpoint of a Connect application says so; of others nothing is known.
            connect: remote.application.as_ref().map(|_| true),
            status: remote.status(),
            at_provider: Some(remote.kept(Vec::new())),
            ..Endpoint::new(id, "stripe", Vec::new())
        };
        let note = secretless(&endpoint);
        if !self.wish.dry_run {
            self.at_stripe.inner.endpoints.add(endpoint).await?;
        }
        self.tell_of(id, remote, SyncOutcome::Adopted, note);
        Ok(())
    }

    fn missing(&mut self, endpoint: &Endpoint, all: &[Remote]) {
        let there = endpoint.at_provider.as_ref();
        let Some((there, id)) = there.and_then(|there| there.id.as_ref().map(|id| (there, id)))
        else {
            return;
        };
        // One that names no account may be kept in another of the same mode.
        if all.iter().any(|remote| remote.id == *id) || endpoint.account.is_none() {
            return;
        }
        let note = "somebody deleted it at Stripe; `signalbox endpoints delete` deletes it here, \
                    and `create` makes another";
        let (id, url) = (Some(id.clone()), there.url.clone());
        self.tell(Some(endpoint.id), id, &url, SyncOutcome::Missing, Some(note.to_owned()));
    }

    fn tell_of(&mut self, id: EndpointId, there: &Remote, what: SyncOutcome, note: Option<String>) {
        self.tell(Some(id), Some(there.id.clone()), &there.url, what, note);
    }

    fn tell(
        &mut self,
        id: Option<EndpointId>,
        provider_id: Option<String>,
        url: &str,
        outcome: SyncOutcome,
        note: Option<String>,
    ) {
        self.report.data.push(SyncEntry {
            id: id.map(|id| id.to_string()),
            provider_id,
            account: self.account.name.clone(),
            url: url.to_owned(),
            outcome,
            differences: Vec::new(),
            note,
        });
    }
}

/// What to do about one whose secret is not known here.
fn secretless(endpoint: &Endpoint) -> Option<String> {
    endpoint.secrets.is_empty().then(|| {
        format!(
            "its secret is not known here, and Stripe shows it in its dashboard alone: `signalbox \
             endpoints add-secret {} --secret env:NAME`; until then its requests are refused",
            endpoint.id
        )
    })
}

fn differences(endpoint: &Endpoint, there: &AtProvider, remote: &Remote) -> Vec<Difference> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let list = |list: &[String]| {
        let mut sorted = list.to_vec();
        sorted.sort();
        sorted.join(",")
    };
    let facts = |facts: &std::collections::BTreeMap<String, String>| {
        facts.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
    };
    let pairs = [
        ("id", text(&there.id), remote.id.clone()),
        ("url", there.url.clone(), remote.url.clone()),
        ("enabled_events", list(&there.enabled_events), list(&remote.enabled_events)),
        ("api_version", text(&there.api_version), text(&remote.api_version)),
        ("description", text(&endpoint.description), text(&remote.description)),
        ("metadata", facts(&there.metadata), facts(&remote.own_metadata())),
        ("status", endpoint.status.name().to_owned(), remote.status().name().to_owned()),
    ];
    let differs = pairs.into_iter().filter(|(_, here, there)| here != there);
    differs.map(|(field, here, there)| Difference { field, here, there }).collect()
}
