//! The local pod of the example `list_buckets`: STS, Pod Identity agent and S3 on loopback.
#![allow(clippy::print_stdout, reason = "the output is for people")]

#[path = "../support/local_s3.rs"]
mod local_s3;

use std::error::Error;
use std::time::Duration;

use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::LocalPod;

use self::local_s3::LocalS3;
use crate::{Options, list};

/// The lifetime of the local pod's credentials with `--watch`. It is short, so that refreshes happen while you watch.
const LOCAL_LIFETIME: Duration = Duration::from_secs(20);

/// Lists the buckets of a local pod, with IRSA and with EKS Pod Identity.
pub(crate) async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    println!("Starting a local pod (STS, Pod Identity agent and S3 on loopback) to list its buckets.");
    let pod = LocalPod::start().await?;
    if options.watch {
        pod.sts().set_lifetime(LOCAL_LIFETIME);
        pod.agent().set_lifetime(LOCAL_LIFETIME);
    }
    let s3 = LocalS3::start(pod.ledger().clone()).await?;
    let provider = |mut env: Vec<(String, String)>| {
        env.push(("AWS_ENDPOINT_URL_S3".to_owned(), s3.url().to_owned()));
        EksCredentialsProvider::builder().env(env).build()
    };
    let (irsa, pod_identity) = (provider(pod.irsa_env())?, provider(pod.pod_identity_env())?);
    if options.watch {
        tokio::try_join!(list(&irsa, options), list(&pod_identity, options))?;
    } else {
        list(&irsa, options).await?;
        list(&pod_identity, options).await?;
    }
    Ok(())
}
