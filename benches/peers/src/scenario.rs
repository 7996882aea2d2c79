//! The scenarios. Each starts a local pod and a measured process with its environment, and injects a fault.

pub(crate) mod boundary;
pub(crate) mod clients;
pub(crate) mod cold;
pub(crate) mod crowd;
pub(crate) mod long_outage;
pub(crate) mod outage;
pub(crate) mod rotation;
pub(crate) mod s3;
pub(crate) mod throttled;
pub(crate) mod warm;

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use eks_credentials::testing::{LocalPod, StandIn};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::child::Child;

/// A measured process.
pub(crate) struct Measured {
    process: tokio::process::Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Measured {
    /// Starts the process with no other environment than that of the pod.
    pub(crate) fn start(child: &Child, env: Vec<(String, String)>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("child").args(child.arguments()).env_clear();
        // No instance metadata unless `env` enables it, no home folder and no profile: only the pod's own sources are found.
        command.envs([("AWS_EC2_METADATA_DISABLED", "true"), ("HOME", "/nonexistent")]).envs(env);
        let mut process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let lines = BufReader::new(process.stdout.take().context("no stdout")?).lines();
        Ok(Self { process, lines })
    }

    /// Waits until the process has its first credentials.
    pub(crate) async fn warm(&mut self) -> Result<()> {
        let line = self.lines.next_line().await?;
        ensure!(line.as_deref() == Some("warm"), "expected \"warm\", got {line:?}");
        Ok(())
    }

    pub(crate) async fn result<T: DeserializeOwned>(mut self) -> Result<T> {
        let line =
            self.lines.next_line().await?.context("the measured process printed nothing: see its errors above")?;
        ensure!(self.process.wait().await?.success(), "the measured process failed");
        Ok(serde_json::from_str(&line)?)
    }
}

/// Keeps the agent's cache empty, so that each fetch returns new credentials with the full lifetime.
pub(crate) struct AlwaysNew(JoinHandle<()>);

impl AlwaysNew {
    pub(crate) fn of(pod: &std::sync::Arc<LocalPod>, lifetime: Duration) -> Self {
        let pod = std::sync::Arc::clone(pod);
        pod.agent().set_lifetime(lifetime);
        pod.sts().set_lifetime(lifetime);
        Self(tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                pod.agent().set_lifetime(lifetime);
            }
        }))
    }
}

impl Drop for AlwaysNew {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The credential sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    PodIdentity,
    Irsa,
}

impl Source {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::PodIdentity => "Pod Identity",
            Self::Irsa => "IRSA",
        }
    }

    pub(crate) fn env(self, pod: &LocalPod) -> Vec<(String, String)> {
        match self {
            Self::PodIdentity => pod.pod_identity_env(),
            Self::Irsa => pod.irsa_env(),
        }
    }

    pub(crate) fn stand_in(self, pod: &LocalPod) -> &StandIn {
        match self {
            Self::PodIdentity => pod.agent(),
            Self::Irsa => pod.sts(),
        }
    }
}
