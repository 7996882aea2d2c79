//! Shared by the programs: a pod on loopback with short-lived credentials, and stand-ins for servers that verify IAM tokens.
#![allow(dead_code, reason = "each program uses a part")]

pub mod postgres;
pub mod redis;
mod verify;

use std::time::{Duration, SystemTime};

use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::LocalPod;

pub use verify::Verifier;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The lifetime of the credentials, and therefore the longest lifetime of a token. In a cluster it is hours.
pub const LIFETIME: Duration = Duration::from_secs(8);

/// A pod with EKS Pod Identity, and a provider in it.
pub async fn pod() -> Result<(LocalPod, EksCredentialsProvider)> {
    let pod = LocalPod::start().await?;
    pod.agent().set_lifetime(LIFETIME);
    let builder = EksCredentialsProvider::builder().env(pod.pod_identity_env()).region("eu-central-1");
    Ok((pod, builder.build()?))
}

/// How long to use a token: half of the time until its end, so that there is time for another attempt.
pub fn half_of_lifetime(expires_at: SystemTime) -> Duration {
    let left = expires_at.duration_since(SystemTime::now()).unwrap_or_default();
    (left / 2).max(Duration::from_millis(500))
}

/// Waits until `condition` is true. Gives up after a minute.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) -> Result<()> {
    let poll = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), poll).await.map_err(|_| format!("not within a minute: {what}").into())
}

/// Fails the program, which CI notices.
pub fn ensure(condition: bool, what: &str) -> Result<()> {
    if condition { Ok(()) } else { Err(format!("expected: {what}").into()) }
}
