//! Endpoints between the domain and their rows.

use std::time::Duration;

use crate::domain::clock::Timestamp;
use crate::domain::endpoint::{Endpoint, EndpointId, Origin, Secret};

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
    })
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
    let row: rows::Endpoint = rows::decode("an endpoint", bytes)?;
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
            other => {
                return Err(RowError::damaged("an endpoint", format!("its origin is {other}")));
            }
        },
    })
}
