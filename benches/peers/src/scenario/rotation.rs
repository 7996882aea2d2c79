//! STS refuses the token, and kubelet replaces its file by one with the same length and modification time.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use eks_credentials::testing::LocalPod;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::Measured;
use super::throttled::call;
use crate::child::Child;
use crate::front::Sts;
use crate::report::Table;
use crate::subject::{Name, Subject};

const REFUSED: Duration = Duration::from_secs(3);
const LIMIT: Duration = Duration::from_secs(70);
const PERIOD: Duration = Duration::from_millis(50);
const NEW_TOKEN: &str = "PEERS_NEW_TOKEN";
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";

#[derive(Serialize, Deserialize)]
pub(crate) struct Rotated {
    took_s: Option<f64>,
    /// Failed calls after the token was replaced.
    failed: u64,
}

/// Runs in the measured process, and replaces the token itself. There are no credentials before.
pub(crate) async fn measure<S, F>(build: impl Fn() -> F) -> Result<Rotated>
where
    S: Subject,
    F: Future<Output = Result<S>>,
{
    let began = Instant::now();
    let mut client = None;
    let mut replaced = None;
    let mut failed = 0;
    while began.elapsed() < LIMIT {
        if replaced.is_none() && began.elapsed() >= REFUSED {
            replace()?;
            replaced = Some(Instant::now());
        }
        match (call(&mut client, &build).await, replaced) {
            (Ok(()), Some(at)) => return Ok(Rotated { took_s: Some(at.elapsed().as_secs_f64()), failed }),
            (Ok(()), None) => anyhow::bail!("credentials with the refused token"),
            (Err(_), at) => failed += u64::from(at.is_some()),
        }
        sleep(PERIOD).await;
    }
    Ok(Rotated { took_s: None, failed })
}

/// Atomically, as kubelet does.
fn replace() -> Result<()> {
    let path = |name| std::env::var_os(name).map(PathBuf::from).context(name);
    let (new, current) = (path(NEW_TOKEN)?, path(TOKEN_FILE)?);
    File::options().write(true).open(&new)?.set_modified(fs::metadata(&current)?.modified()?)?;
    Ok(fs::rename(new, current)?)
}

async fn rotation(name: Name) -> Result<(Rotated, u64)> {
    let pod = LocalPod::start().await?;
    let sts = Sts::before(pod.sts().address()).await?;
    let folder = tempfile::tempdir()?;
    let (current, new) = (folder.path().join("token"), folder.path().join("new"));
    fs::copy(pod.irsa_token().path(), &current)?;
    pod.irsa_token().rotate()?;
    fs::copy(pod.irsa_token().path(), &new)?;
    ensure!(fs::metadata(&current)?.len() == fs::metadata(&new)?.len(), "tokens of different lengths");
    sts.refuse(fs::read_to_string(&current)?);
    let mut env = sts.env(pod.irsa_env());
    env.retain(|(name, _)| name != TOKEN_FILE);
    env.extend([(TOKEN_FILE.into(), current.display().to_string()), (NEW_TOKEN.into(), new.display().to_string())]);
    let rotated = Measured::start(&Child::Rotation { subject: name }, env)?.result().await?;
    Ok((rotated, sts.requests()))
}

pub(crate) async fn run() -> Result<Table> {
    let mut table = Table::new(
        "STS refuses the token for 3 s; then its file is replaced by one with the same length and modification time",
        &["", "seconds from the replacement to credentials", "failed calls after it", "requests to STS"],
    );
    // The processes mostly wait, so they can run at the same time.
    let running = Name::ALL.map(|name| (name, tokio::spawn(rotation(name))));
    for (name, task) in running {
        let (rotated, requests) = task.await??;
        table.row(vec![
            name.title().into(),
            rotated.took_s.map_or("> 67".into(), |took| format!("{took:.2}")),
            rotated.failed.to_string(),
            requests.to_string(),
        ]);
    }
    table.note(
        "IRSA, `ExpiredTokenException`, no credentials before; the next call is made 50 ms after a failed one. The other \
         crates read the file and send a request with each call. This crate waits between its attempts, and its calls fail \
         meanwhile.",
    );
    Ok(table)
}
