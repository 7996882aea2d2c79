//! An S3 client of the AWS SDK lists buckets across refreshes, with each identity cache. The S3 server on loopback verifies
//! the signature, the session token and the expiry of every request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use aws_sdk_s3::config::retry::RetryConfig;
use clap::ValueEnum;
use eks_credentials::testing::LocalPod;
use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::{AlwaysNew, Measured};
use crate::child::Child;
use crate::local_s3::LocalS3;
use crate::report::Table;
use crate::subject::Name;

const SECONDS: u64 = 30;
const TASKS: usize = 4;

/// Provider and identity cache of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    OursOwnCache,
    OursSdkCache,
    SdkOwn,
}

impl Client {
    const ALL: [Self; 3] = [Self::OursOwnCache, Self::OursSdkCache, Self::SdkOwn];

    fn title(self) -> &'static str {
        match self {
            Self::OursOwnCache => "eks-credentials (`sdk_config`)",
            Self::OursSdkCache => "eks-credentials in aws-config, SDK cache",
            Self::SdkOwn => "aws-config, SDK cache",
        }
    }

    async fn build(self) -> Result<aws_sdk_s3::Client> {
        // Without retries, every failure is counted.
        let retries = RetryConfig::disabled();
        let config = match self {
            Self::OursOwnCache => {
                EksCredentialsProvider::from_env()?.sdk_config(BehaviorVersion::latest()).retry_config(retries).build()
            }
            Self::OursSdkCache => {
                let defaults = aws_config::defaults(aws_config::BehaviorVersion::latest()).retry_config(retries);
                defaults.credentials_provider(EksCredentialsProvider::from_env()?).load().await
            }
            Self::SdkOwn => {
                aws_config::defaults(aws_config::BehaviorVersion::latest()).retry_config(retries).load().await
            }
        };
        Ok(aws_sdk_s3::Client::new(&config))
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Listed {
    requests: u64,
    failed: u64,
    p50_ms: f64,
    p999_ms: f64,
    max_ms: f64,
}

/// Runs in the measured process.
pub(crate) async fn measure(client: Client, length: Duration) -> Result<Listed> {
    let client = Arc::new(client.build().await?);
    client.list_buckets().send().await?;
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let client = Arc::clone(&client);
        tasks.spawn(async move {
            let (mut took, mut failed) = (Vec::new(), 0_u64);
            while began.elapsed() < length {
                let start = Instant::now();
                failed += u64::from(client.list_buckets().send().await.is_err());
                took.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
            }
            (took, failed)
        });
    }
    let mut histogram = Histogram::<u64>::new(3)?;
    let mut failed = 0;
    for (took, failures) in tasks.join_all().await {
        failed += failures;
        took.into_iter().try_for_each(|nanos| histogram.record(nanos))?;
    }
    let ms = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e6;
    Ok(Listed { requests: histogram.len(), failed, p50_ms: ms(0.5), p999_ms: ms(0.999), max_ms: ms(1.0) })
}

pub(crate) async fn run() -> Result<Table> {
    let mut table = Table::new(
        "An S3 client: four tasks list buckets for 30 s; the credentials last 18 s, the source takes 200 ms",
        &["", "requests/s", "median, ms", "p99.9, ms", "max, ms", "failed"],
    );
    for client in Client::ALL {
        let pod = Arc::new(LocalPod::start().await?);
        pod.agent().set_latency(Duration::from_millis(200));
        let new = AlwaysNew::of(&pod, Name::Sdk.lifetime_due(Duration::from_secs(8)));
        let s3 = LocalS3::start(pod.ledger().clone()).await.map_err(|e| anyhow::anyhow!("{e}"))?;
        let mut env = pod.pod_identity_env();
        env.push(("AWS_ENDPOINT_URL_S3".into(), s3.url().into()));
        let listed: Listed = Measured::start(&Child::S3 { client, seconds: SECONDS }, env)?.result().await?;
        drop(new);
        table.row(vec![
            client.title().into(),
            format!("{:.0}", listed.requests as f64 / SECONDS as f64),
            format!("{:.2}", listed.p50_ms),
            format!("{:.2}", listed.p999_ms),
            format!("{:.1}", listed.max_ms),
            listed.failed.to_string(),
        ]);
    }
    table.note("Client, S3 and agent share two cores: compare requests/s only within this table.");
    Ok(table)
}
