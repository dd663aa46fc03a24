//! A running signalbox: the real binary, in a directory of its own, on ports of its own.
//!
//! It can be killed and started again over the same directory.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::Value;

use crate::stripe;

/// The endpoint every test host has.
pub const ENDPOINT: &str = "6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11";
/// Its secret.
pub const SECRET: &str = "whsec_test_0123456789abcdef";
/// The admin API's token.
pub const TOKEN: &str = "test-admin-token";

/// Longest wait for anything that a healthy host does by itself. Only a broken host meets it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test, built with the profile of this process when it is not fresh.
///
/// # Errors
/// When the build fails.
pub fn binary() -> Result<&'static Path> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BINARY.get_or_init(|| build().map_err(|e| format!("{e:#}")));
    built.as_deref().map_err(|e| anyhow!("{e}"))
}

fn build() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let profile = here.ancestors().nth(2).context("a test runs in target/PROFILE/deps")?;
    let mut cargo = Command::new(env!("CARGO"));
    // The whole workspace, so that the libraries' features are those of the tests' own build.
    cargo.args(["build", "--quiet", "--locked", "--workspace", "--bin", "signalbox"]);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(root()).status()?;
    ensure!(status.success(), "the binary under test does not build");
    Ok(profile.join("signalbox"))
}

/// The root of the workspace.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A host's directory and what runs in it.
#[derive(Debug)]
pub struct Host {
    dir: tempfile::TempDir,
    child: Option<Child>,
    /// Where providers post to, e.g. `http://127.0.0.1:40001`.
    pub public: String,
    /// Where the admin API answers.
    pub admin: String,
    client: reqwest::Client,
    /// More environment for the process.
    environment: Vec<(&'static str, String)>,
}

impl Host {
    /// A started host with `plugins` (file name and bytes) in its directory and `extra` lines of
    /// configuration.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(plugins: &[(&str, &[u8])], extra: &str) -> Result<Self> {
        let mut host = Self::prepare(plugins, extra)?;
        host.run()?;
        Ok(host)
    }

    /// As [`start`](Self::start), not started yet.
    ///
    /// # Errors
    /// When its directory cannot be written.
    pub fn prepare(plugins: &[(&str, &[u8])], extra: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::create_dir(dir.path().join("plugins"))?;
        for (name, bytes) in plugins {
            std::fs::write(dir.path().join("plugins").join(name), bytes)?;
        }
        let config = format!(
            r#"
[server]
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
admin_token = "{TOKEN}"

[store]
path = "data"

[plugins]
dir = "plugins"

[[endpoint]]
id = "{ENDPOINT}"
provider = "stripe"
secrets = ["{SECRET}"]

{extra}
"#
        );
        std::fs::write(dir.path().join("signalbox.toml"), config)?;
        Ok(Self {
            dir,
            child: None,
            public: String::new(),
            admin: String::new(),
            client: reqwest::Client::new(),
            environment: Vec::new(),
        })
    }

    /// Set a variable of the process's environment, from its next start on.
    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.environment.push((name, value.into()));
    }

    /// Start the process and wait until it says it is ready.
    ///
    /// # Errors
    /// With everything it said, when it ends before that.
    pub fn run(&mut self) -> Result<()> {
        let mut child = self.spawn()?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.is_empty() {
            let status = child.wait()?;
            bail!("signalbox did not start ({status}):\n{}", self.log());
        }
        let ready: Value = serde_json::from_str(&line)?;
        let url = |name: &str| {
            let url = ready.get(name).and_then(Value::as_str);
            url.map(str::to_owned).with_context(|| format!("no {name} in {line}"))
        };
        self.public = url("public_url")?;
        self.admin = url("admin_url")?;
        self.child = Some(child);
        Ok(())
    }

    /// Start the process and end it by SIGKILL after `life`, ready or not: most likely while it
    /// opens its store.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run_shortly(&mut self, life: Duration) -> Result<()> {
        self.child = Some(self.spawn()?);
        std::thread::sleep(life);
        self.kill()
    }

    fn spawn(&self) -> Result<Child> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("stderr.log"))?;
        let child = Command::new(binary()?)
            .args(["serve", "--config", "signalbox.toml", "--output", "json"])
            .current_dir(self.dir.path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()?;
        Ok(child)
    }

    /// End the process as a power cut would: SIGKILL, and no chance to tidy up.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("not running")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Ask the process to end (SIGTERM) and wait for it.
    ///
    /// # Errors
    /// When it does not run, or ends with a failure.
    pub fn stop(&mut self) -> Result<()> {
        self.signal("TERM")?;
        let mut child = self.child.take().context("not running")?;
        let status = child.wait()?;
        ensure!(status.success(), "signalbox ended with {status}:\n{}", self.log());
        Ok(())
    }

    /// Send it a signal, e.g. `STOP`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, name: &str) -> Result<()> {
        let pid = self.pid().context("not running")?.to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status()?;
        ensure!(sent.success(), "cannot signal");
        Ok(())
    }

    /// Bytes of memory it holds (its resident set).
    ///
    /// # Errors
    /// When it does not run.
    pub fn memory(&self) -> Result<u64> {
        let pid = self.pid().context("not running")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).context("no VmRSS")?;
        Ok(kib.parse::<u64>()? << 10)
    }

    /// One of its figures for Prometheus, without labels.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn figure(&self, name: &str) -> Result<f64> {
        let url = format!("{}/metrics", self.admin);
        let text = self.client.get(&url).bearer_auth(TOKEN).send().await?.text().await?;
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        text.lines().find_map(value).with_context(|| format!("no {name} in {text}"))
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Its directory: `signalbox.toml`, `plugins/`, `data/`.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it wrote to standard error, over all its runs.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("stderr.log")).unwrap_or_default()
    }

    /// The URL its endpoint has.
    #[must_use]
    pub fn webhook_url(&self) -> String {
        format!("{}/webhooks/{ENDPOINT}", self.public)
    }

    /// Post `body` with a good signature. Answers status and body.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn post(&self, body: impl Into<Vec<u8>>) -> Result<(u16, Value)> {
        let body = body.into();
        let header = stripe::sign(SECRET, stripe::now(), &body);
        self.post_signed(body, &header).await
    }

    /// Post `body` with the signature header given.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn post_signed(&self, body: Vec<u8>, header: &str) -> Result<(u16, Value)> {
        let request = self
            .client
            .post(self.webhook_url())
            .header("stripe-signature", header)
            .header("content-type", "application/json; charset=utf-8")
            .body(body);
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// GET from the admin API; `path` begins after `/api/v1`.
    ///
    /// # Errors
    /// When there is no answer, or it is not 200.
    pub async fn get(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&self.get_bytes(path).await?)?)
    }

    /// As [`get`](Self::get), the very bytes.
    ///
    /// # Errors
    /// When there is no answer, or it is not 200.
    pub async fn get_bytes(&self, path: &str) -> Result<Vec<u8>> {
        let url = format!("{}/api/v1{path}", self.admin);
        let answer = self.client.get(&url).bearer_auth(TOKEN).send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        ensure!(status.is_success(), "{url}: {status}: {}", String::from_utf8_lossy(&body));
        Ok(body.to_vec())
    }

    /// All pages of a list, newest first.
    ///
    /// # Errors
    /// When a page cannot be had.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut all: Vec<Value> = Vec::new();
        let mut cursor = String::new();
        loop {
            let sign = if path.contains('?') { '&' } else { '?' };
            let mut page = self.get(&format!("{path}{sign}limit=100{cursor}")).await?;
            let data = page.get_mut("data").and_then(Value::as_array_mut);
            all.append(data.with_context(|| format!("{path} is no list"))?);
            if page.get("has_more").and_then(Value::as_bool) != Some(true) {
                return Ok(all);
            }
            let last = all.last().and_then(|last| last.get("id")).and_then(Value::as_str);
            cursor = format!("&starting_after={}", last.context("an entry without id")?);
        }
    }

    /// Ask until `good` finds in the answer what it waits for.
    ///
    /// # Errors
    /// When it does not within [`PATIENCE`], with the last answer.
    pub async fn until<T>(&self, path: &str, good: impl Fn(&Value) -> Option<T>) -> Result<T> {
        let begun = Instant::now();
        loop {
            let answer = self.get(path).await?;
            if let Some(found) = good(&answer) {
                return Ok(found);
            }
            ensure!(begun.elapsed() < PATIENCE, "{path} stayed at {answer:#}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The delivery `id` once it is `done` or `dead`.
    ///
    /// # Errors
    /// When it does not end within [`PATIENCE`].
    pub async fn ended(&self, id: &str) -> Result<Value> {
        self.until(&format!("/deliveries/{id}"), |delivery| {
            let status = delivery.get("status").and_then(Value::as_str);
            matches!(status, Some("done" | "dead")).then(|| delivery.clone())
        })
        .await
    }

    /// Run a command of the binary in the host's directory, against the running host.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn cli(&self, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(binary()?);
        command.args(args).args(["--config", "signalbox.toml", "--url", &self.admin]);
        Ok(command.current_dir(self.dir.path()).stdin(Stdio::null()).output()?)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- signalbox said:\n{}", self.log());
        }
    }
}
