//! Endpoints between the domain and their rows.

use std::time::Duration;

use crate::domain::clock::Timestamp;
use crate::domain::endpoint::{
    AtProvider, Endpoint, EndpointId, EndpointStatus, Origin, Secret, SecretId, Validation,
};

use super::error::RowError;
use super::layout;
use super::rows;
use super::table::Table;

/// The row of an endpoint.
pub(super) fn row(endpoint: &Endpoint) -> Result<Vec<u8>, RowError> {
    let secret =
        |secret: &Secret| (secret.expose().to_owned(), secret.not_after.map(Timestamp::as_millis));
    rows::encode(&rows::Endpoint {
        provider: endpoint.provider.clone(),
        secrets: endpoint.secrets.iter().map(secret).collect(),
        tolerance_millis: u64::try_from(endpoint.tolerance.as_millis()).unwrap_or(u64::MAX),
        description: endpoint.description.clone(),
        created_at: endpoint.created_at.as_millis(),
        origin: match endpoint.origin {
            Origin::Config => 0,
            Origin::Api => 1,
        },
        validation: match endpoint.validation {
            Validation::VerifySignature => 0,
            Validation::RetrieveEvent => 1,
            Validation::None => 2,
        },
        force_unverified: endpoint.force_unverified,
        account: endpoint.account.clone(),
        livemode: endpoint.livemode,
        connect: endpoint.connect,
        status: match endpoint.status {
            EndpointStatus::Enabled => 0,
            EndpointStatus::Disabled => 1,
            EndpointStatus::Creating => 2,
        },
        at_provider: endpoint.at_provider.as_ref().map(keep),
        matched: endpoint.matched.iter().map(|(id, at)| (id.0.clone(), at.as_millis())).collect(),
    })
}

fn keep(there: &AtProvider) -> rows::AtProvider {
    rows::AtProvider {
        id: there.id.clone(),
        url: there.url.clone(),
        enabled_events: there.enabled_events.clone(),
        api_version: there.api_version.clone(),
        metadata: there.metadata.clone().into_iter().collect(),
        retiring: there.retiring.iter().map(|(id, at)| (id.clone(), at.as_millis())).collect(),
    }
}

fn show_kept(row: rows::AtProvider) -> AtProvider {
    let retiring = row.retiring.into_iter();
    AtProvider {
        id: row.id,
        url: row.url,
        enabled_events: row.enabled_events,
        api_version: row.api_version,
        metadata: row.metadata.into_iter().collect(),
        retiring: retiring.map(|(id, at)| (id, Timestamp::from_millis(at))).collect(),
    }
}

/// All endpoints, by id.
pub(super) fn all(table: &Table) -> Result<Vec<Endpoint>, RowError> {
    table
        .prefix(&[layout::ENDPOINT])
        .map(|row| {
            let row = row?;
            let id = row.key.get(1..).and_then(|id| id.try_into().ok());
            let id = id.ok_or_else(|| RowError::damaged("an endpoint", "its key is malformed"))?;
            show(EndpointId(uuid::Uuid::from_bytes(id)), row.value.bytes())
        })
        .collect()
}

fn show(id: EndpointId, bytes: &[u8]) -> Result<Endpoint, RowError> {
    let row = rows::Endpoint::decode(bytes)?;
    let odd = |what: &str, number: u8| {
        RowError::damaged("an endpoint", format!("its {what} is {number}"))
    };
    let mut secrets = Vec::with_capacity(row.secrets.len());
    for (value, not_after) in row.secrets {
        let mut secret =
            Secret::new(&value).map_err(|e| RowError::damaged("an endpoint", e.to_string()))?;
        secret.not_after = not_after.map(Timestamp::from_millis);
        secrets.push(secret);
    }
    Ok(Endpoint {
        id,
        provider: row.provider,
        secrets,
        tolerance: Duration::from_millis(row.tolerance_millis),
        description: row.description,
        created_at: Timestamp::from_millis(row.created_at),
        origin: match row.origin {
            0 => Origin::Config,
            1 => Origin::Api,
            other => return Err(odd("origin", other)),
        },
        validation: match row.validation {
            0 => Validation::VerifySignature,
            1 => Validation::RetrieveEvent,
            2 => Validation::None,
            other => return Err(odd("validation", other)),
        },
        force_unverified: row.force_unverified,
        account: row.account,
        livemode: row.livemode,
        connect: row.connect,
        status: match row.status {
            0 => EndpointStatus::Enabled,
            1 => EndpointStatus::Disabled,
            2 => EndpointStatus::Creating,
            other => return Err(odd("status", other)),
        },
        at_provider: row.at_provider.map(show_kept),
        matched: row
            .matched
            .into_iter()
            .map(|(id, at)| (SecretId(id), Timestamp::from_millis(at)))
            .collect(),
    })
}
