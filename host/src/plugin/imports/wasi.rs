//! WASI 0.2 with nothing behind it, for the runtimes of languages that expect a system.
//!
//! No arguments, environment, files, sockets or HTTP. Output becomes log records. The wall clock
//! stands still at the start of the delivery, the monotonic clock starts at one step, and random
//! numbers follow from the delivery and the attempt: a run can be repeated.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWrite;
use wasmtime::Result;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView};
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView,
};

use crate::domain::clock::Timestamp;
use crate::domain::delivery::DeliveryId;
use crate::plugin::guest::Guest;
use crate::plugin::logbook::{LogBook, Output};

/// What is provided, without versions.
pub(super) const INTERFACES: [&str; 20] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/wall-clock",
    "wasi:clocks/monotonic-clock",
    "wasi:filesystem/types",
    "wasi:filesystem/preopens",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
];

/// Bytes of one request for random numbers: a key is 32, a hash table's seed 16.
const MAX_RANDOM: u64 = 64 << 10;

/// Bytes a guest may write to an output stream at once.
const WRITE_PERMIT: usize = 64 << 10;

/// Step of the monotonic clock: too coarse to time anything on this machine by.
const CLOCK_STEP: Duration = Duration::from_millis(1);

struct HasIo;

impl HasData for HasIo {
    type Data<'a> = &'a mut ResourceTable;
}

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> Result<()> {
    use wasmtime_wasi::p2::bindings::io;

    io::error::add_to_linker::<Guest, HasIo>(linker, |g| &mut g.table)?;
    io::poll::add_to_linker::<Guest, HasIo>(linker, |g| &mut g.table)?;
    io::streams::add_to_linker::<Guest, HasIo>(linker, |g| &mut g.table)?;
    cli::environment::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::exit::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::stdin::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::stdout::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::stderr::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_input::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_output::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_stdin::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_stdout::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_stderr::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    clocks::wall_clock::add_to_linker::<Guest, WasiClocks>(linker, Guest::clocks)?;
    clocks::monotonic_clock::add_to_linker::<Guest, WasiClocks>(linker, Guest::clocks)?;
    filesystem::types::add_to_linker::<Guest, WasiFilesystem>(linker, Guest::filesystem)?;
    filesystem::preopens::add_to_linker::<Guest, WasiFilesystem>(linker, Guest::filesystem)?;
    random::random::add_to_linker::<Guest, WasiRandom>(linker, Guest::random)?;
    random::insecure::add_to_linker::<Guest, WasiRandom>(linker, Guest::random)?;
    random::insecure_seed::add_to_linker::<Guest, WasiRandom>(linker, Guest::random)?;
    Ok(())
}

/// What a guest can learn of the moment and of chance.
#[derive(Debug)]
pub(in crate::plugin) struct Surroundings {
    now: Timestamp,
    /// What chance follows from: nothing in a description.
    attempt: Option<(Arc<DeliveryId>, u32)>,
}

impl Surroundings {
    /// Those of an attempt that began at `now`.
    pub(in crate::plugin) fn of_attempt(
        delivery: Arc<DeliveryId>,
        attempt: u32,
        now: Timestamp,
    ) -> Self {
        Self { now, attempt: Some((delivery, attempt)) }
    }

    /// Always the same: a description is a constant.
    pub(in crate::plugin) const fn of_description() -> Self {
        Self { now: Timestamp::from_secs(0), attempt: None }
    }

    fn seed(&self) -> [u8; 32] {
        let Some((delivery, attempt)) = &self.attempt else { return [0; 32] };
        let mut hash = Sha256::new();
        hash.update(delivery.to_string().as_bytes());
        hash.update(attempt.to_be_bytes());
        hash.finalize().into()
    }

    fn context(&self, logs: &LogBook) -> WasiCtx {
        // One seed, three sequences that do not repeat each other.
        let mut rng = StdRng::from_seed(self.seed());
        let insecure = StdRng::from_rng(&mut rng);
        let mut seed = [0; 16];
        rand::Rng::fill_bytes(&mut rng, &mut seed);
        WasiCtxBuilder::new()
            .stdout(Stream { logs: logs.clone(), output: Output::Stdout })
            .stderr(Stream { logs: logs.clone(), output: Output::Stderr })
            .wall_clock(Still(Duration::from_millis(self.now.as_millis())))
            .monotonic_clock(FromOneStep(Instant::now()))
            .secure_random(rng)
            .insecure_random(insecure)
            .insecure_random_seed(u128::from_be_bytes(seed))
            .max_random_size(MAX_RANDOM)
            .allow_tcp(false)
            .allow_udp(false)
            .build()
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let ctx = self.wasi.get_or_insert_with(|| Box::new(self.surroundings.context(&self.logs)));
        WasiCtxView { ctx, table: &mut self.table }
    }
}

struct Still(Duration);

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        CLOCK_STEP
    }

    fn now(&self) -> Duration {
        self.0
    }
}

struct FromOneStep(Instant);

impl HostMonotonicClock for FromOneStep {
    fn resolution(&self) -> u64 {
        nanos(CLOCK_STEP)
    }

    fn now(&self) -> u64 {
        let step = nanos(CLOCK_STEP);
        // Not from zero itself: Go's runtime takes a clock that stands there for a broken one.
        nanos(self.0.elapsed()) / step * step + step
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// An output stream that ends in the log. Always ready, never full: what is beyond the log's
/// limits is counted there.
#[derive(Clone)]
struct Stream {
    logs: LogBook,
    output: Output,
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.logs.print(self.output, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_PERMIT)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.logs.print(self.output, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
