//! Sample events for the store: Stripe's, with every identifier, time and amount of their own.
//!
//! Not measuring.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use signalbox::domain::clock::Timestamp;
use signalbox::domain::endpoint::{EndpointId, SecretId};
use signalbox::domain::event::{EventKey, Header, ObjectRef, Source, VerifiedEvent};
use signalbox::domain::plugin::PluginName;
use signalbox::store::NewEvent;

/// Bodies that differ in every identifier, time and amount, so that a dictionary knows only what
/// it would know of real ones.
pub(crate) struct Samples {
    template: VerifiedEvent,
    bodies: Vec<Vec<u8>>,
    next: AtomicU64,
}

/// `"evt_"` and 24 characters stand at this place of every body.
const ID_AT: usize = "{\n  \"id\": \"".len();

impl Samples {
    pub(crate) fn load(file: &str) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("reading {file}"))?;
        let fixtures: Vec<Value> =
            text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut bodies = Vec::new();
        for _ in 0..40 {
            for fixture in &fixtures {
                let mut event = fixture.clone();
                vary(&mut event, "", &mut random);
                event["id"] = json!(format!("evt_{}", random.text(24)));
                // Stripe posts its events indented by two, the identifier first.
                let mut body = serde_json::to_string_pretty(&event)?;
                let id = format!("  \"id\": \"{}\",\n", event["id"].as_str().unwrap_or_default());
                body = body.replacen(&id, "", 1).replacen("{\n", &format!("{{\n{id}"), 1);
                if (2_000..5_600).contains(&body.len()) {
                    bodies.push(body.into_bytes());
                }
            }
        }
        let key = EventKey { provider: "stripe".to_owned(), id: String::new() };
        let mut template = VerifiedEvent::vouched(
            key,
            "charge.succeeded".to_owned(),
            "application/json; charset=utf-8".to_owned(),
            Vec::new().into(),
        );
        template.api_version = Some("2026-10-28.endive".to_owned());
        template.object = Some(ObjectRef { kind: "charge".to_owned(), id: String::new() });
        template.proof = vec![Header { name: "stripe-signature".to_owned(), value: Vec::new() }];
        template.secret = SecretId("0a1b2c3d".to_owned());
        Ok(Self { template, bodies, next: AtomicU64::new(0) })
    }

    pub(crate) fn mean(&self) -> usize {
        self.bodies.iter().map(Vec::len).sum::<usize>() / self.bodies.len().max(1)
    }

    /// The next body, its identifier new.
    pub(crate) fn body(&self, random: &mut Random) -> Vec<u8> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) as usize;
        let mut body = self.bodies[number % self.bodies.len()].clone();
        body[ID_AT..ID_AT + 28].copy_from_slice(format!("evt_{}", random.text(24)).as_bytes());
        body
    }

    pub(crate) fn event(&self, random: &mut Random, plugins: &[PluginName]) -> NewEvent {
        let body = self.body(random);
        let mut event = self.template.clone();
        event.key.id = String::from_utf8_lossy(&body[ID_AT..ID_AT + 28]).into_owned();
        if let Some(object) = &mut event.object {
            object.id = format!("ch_{}", random.text(24));
        }
        event.request_id = Some(format!("req_{}", random.text(14)));
        let created = 1_790_000_000 + random.next() % 10_000_000;
        event.occurred_at = Timestamp::from_secs(created);
        let signature: String = (0..4).map(|_| format!("{:016x}", random.next())).collect();
        event.proof[0].value = format!("t={created},v1={signature}").into_bytes();
        event.body = body.into();
        NewEvent {
            event,
            endpoint: EndpointId(
                "6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11".parse().unwrap_or_default(),
            ),
            received_at: Timestamp::from_millis(created * 1000 + random.next() % 3000),
            source: Source::Webhook,
            plugins: plugins.to_vec(),
        }
    }
}

fn vary(value: &mut Value, name: &str, random: &mut Random) {
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(name, value)| vary(value, name, random)),
        Value::Array(list) => list.iter_mut().for_each(|value| vary(value, name, random)),
        Value::Number(number) => match number.as_i64() {
            Some(n) if n > 1_000_000_000 => {
                *value = json!(1_760_000_000 + random.next() % 40_000_000)
            }
            Some(n) if n > 100 => *value = json!(100 + random.next() % 1_000_000),
            _ => {}
        },
        Value::String(text) => {
            let id = text.split_once('_').filter(|(kind, rest)| {
                kind.len() <= 8 && rest.len() >= 3 && rest.bytes().any(|b| b.is_ascii_digit())
            });
            if name.ends_with("email") {
                *text = format!("{}@example.com", random.text(9).to_lowercase());
            } else if name == "fingerprint" {
                *text = random.text(16);
            } else if let Some((kind, rest)) = id.filter(|(_, rest)| !rest.contains('.')) {
                *text = format!("{kind}_{}", random.text(rest.len().max(14)));
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// xorshift64*: the same events in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn text(&mut self, len: usize) -> String {
        const LETTERS: &[u8; 62] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        (0..len).map(|_| char::from(LETTERS[(self.next() >> 32) as usize % 62])).collect()
    }
}
