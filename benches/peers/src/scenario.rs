//! What the subjects are put through: each starts a pod, a measured process with its environment, and the fault.

pub(crate) mod boundary;
pub(crate) mod cold;
pub(crate) mod crowd;
pub(crate) mod outage;
pub(crate) mod s3;
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
    /// In the pod's environment and no other.
    pub(crate) fn start(child: &Child, env: Vec<(String, String)>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("child").args(child.arguments()).env_clear().envs(env);
        // No service metadata on this machine, no home, no profile: nothing to look for besides what the pod has.
        command.envs([("AWS_EC2_METADATA_DISABLED", "true"), ("HOME", "/nonexistent")]);
        let mut process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let lines = BufReader::new(process.stdout.take().context("no stdout")?).lines();
        Ok(Self { process, lines })
    }

    /// Waits until it has its first credentials.
    pub(crate) async fn warm(&mut self) -> Result<()> {
        let line = self.lines.next_line().await?;
        ensure!(line.as_deref() == Some("warm"), "instead of being warm it said {line:?}");
        Ok(())
    }

    pub(crate) async fn result<T: DeserializeOwned>(mut self) -> Result<T> {
        let line = self.lines.next_line().await?.context("the measured process said nothing: see its errors above")?;
        ensure!(self.process.wait().await?.success(), "the measured process failed");
        Ok(serde_json::from_str(&line)?)
    }
}

/// The agent's cache is as good as empty: every fetch brings new credentials of the whole lifetime.
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

/// The two ways to credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    PodIdentity,
    Irsa,
}

impl Method {
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
