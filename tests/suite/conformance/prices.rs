//! What a plugin of each language costs in a running host: size, loading, a delivery, memory.
//!
//! Printed and not asserted: figures of a machine that does other things beside.

use std::collections::BTreeMap;

use super::languages::Language;
use super::{World, cases, text};

/// Deliveries of each plugin that are measured, one after another.
const ROUNDS: usize = 50;

type Row = (String, BTreeMap<Language, String>);

/// One row for each price.
pub(super) async fn measured(world: &mut World) -> Vec<Row> {
    let languages = world.languages.clone();
    let row = |title: &str, cell: &dyn Fn(Language) -> String| -> Row {
        (title.to_owned(), languages.iter().map(|of| (*of, cell(*of))).collect())
    };
    let mut used: BTreeMap<Language, Vec<[u64; 2]>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        let event = cases::noop();
        let (status, _) = world.host.post(event.to_string()).await.unwrap();
        assert_eq!(status, 200);
        for &of in &languages {
            let id = format!("stripe.{}.{}", text(&event, "id"), of.plugin());
            let delivery = world.host.ended(&id).await.unwrap();
            let attempt = &delivery["history"][0];
            let figure = |field: &str| attempt[field].as_u64().unwrap();
            used.entry(of).or_default().push([figure("cpu_us"), figure("memory_bytes")]);
        }
    }
    let share = |of: Language, which: usize, per_cent: usize| {
        let mut all: Vec<u64> = used[&of].iter().map(|figures| figures[which]).collect();
        all.sort_unstable();
        all[(all.len() - 1) * per_cent / 100]
    };
    let cold = loads(world);
    world.host.stop().unwrap();
    world.host.run().unwrap();
    let cached = loads(world);
    let size = |of: Language| {
        let file = world.host.dir().join("plugins").join(format!("{}.wasm", of.plugin()));
        std::fs::metadata(file).unwrap().len()
    };
    vec![
        row("component, KB", &|of| (size(of) / 1_000).to_string()),
        row("first load, ms", &|of| cold[&of].to_string()),
        row("load from cache, ms", &|of| cached[&of].to_string()),
        row("delivery p50, us cpu", &|of| share(of, 0, 50).to_string()),
        row("delivery p99, us cpu", &|of| share(of, 0, 99).to_string()),
        row("memory, KiB", &|of| (share(of, 1, 50) >> 10).to_string()),
    ]
}

/// How long the latest load of each plugin took, by the host's log.
fn loads(world: &World) -> BTreeMap<Language, u64> {
    let log = world.host.log();
    let took = |of: Language| {
        let named = format!("plugin={} ", of.plugin());
        let line = log.lines().rev().find(|line| line.contains(&named) && line.contains("took_ms"));
        let (_, rest) = line?.split_once("took_ms=")?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    world.languages.iter().map(|of| (*of, took(*of).expect("each was loaded"))).collect()
}
