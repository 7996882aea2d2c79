//! Lists S3 buckets with the pod's own credentials, and says where those came from.
//!
//! In a pod: `cargo run --example list_buckets`, with the region from `AWS_REGION`, and `AWS_ENDPOINT_URL_S3` and
//! `AWS_ENDPOINT_URL_STS` if they are set. Anywhere else it starts a local pod (STS, Pod Identity agent and S3 on loopback)
//! and lists that one's buckets through IRSA and through Pod Identity. In a Kubernetes cluster it never does: there, missing
//! credentials are an error that says what is missing.
//!
//! `--watch` keeps listing once a second and prints every refresh; `--bucket NAME` lists the objects of a bucket.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

#[path = "support/local_s3.rs"]
mod local_s3;
#[path = "support/pod.rs"]
mod pod;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::DisplayErrorContext;
use eks_credentials::testing::LocalPod;
use eks_credentials::{BehaviorVersion, EksCredentialsProvider, Health};
use tokio::time::{MissedTickBehavior, interval};

use local_s3::LocalS3;

const USAGE: &str = "usage: list_buckets [--watch] [--bucket NAME] [--help]";
/// The exit code for wrong arguments, of `sysexits.h`.
const EX_USAGE: u8 = 64;
/// In the local pod credentials live this long with `--watch`, so that refreshes can be seen.
const LOCAL_LIFETIME: Duration = Duration::from_secs(20);

#[derive(Clone, Default)]
struct Options {
    watch: bool,
    bucket: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(what) => {
            eprintln!("{what}\n{USAGE}");
            return ExitCode::from(EX_USAGE);
        }
    };
    let outcome = tokio::select! {
        outcome = run(&options) => outcome,
        () = pod::told_to_end() => Ok(()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", DisplayErrorContext(&*error));
            ExitCode::FAILURE
        }
    }
}

/// `None`: only the usage is wanted.
fn options() -> Result<Option<Options>, String> {
    let mut options = Options::default();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--watch" => options.watch = true,
            "--bucket" => options.bucket = Some(args.next().ok_or("--bucket needs a name")?),
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(Some(options))
}

async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let provider = EksCredentialsProvider::from_env()?;
    if provider.status().source.is_some() {
        return list(&provider, options).await;
    }
    pod::refuse_stand_in_in_a_cluster().await?;
    println!("Not in a pod: neither IRSA nor EKS Pod Identity is configured in this environment.");
    println!("Starting a local pod (STS, Pod Identity agent and S3 on loopback) and listing its buckets instead.");
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

/// Once, or with `--watch` until it is interrupted.
async fn list(provider: &EksCredentialsProvider, options: &Options) -> Result<(), Box<dyn Error>> {
    provider.warm_up().await?;
    println!("\n{}", describe(provider));
    let config = provider.sdk_config(BehaviorVersion::latest()).build();
    // If S3 refuses the credentials before they expire, they are renewed and the attempt is repeated.
    let config = aws_sdk_s3::config::Builder::from(&config)
        .interceptor(provider.recovery())
        .retry_classifier(provider.recovery());
    let s3 = Client::from_conf(config.build());
    list_once(&s3, options).await?;
    if options.watch { watch(provider, &s3, options).await } else { Ok(()) }
}

async fn watch(provider: &EksCredentialsProvider, s3: &Client, options: &Options) -> Result<(), Box<dyn Error>> {
    let mut changes = provider.subscribe();
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if changes.has_changed()? {
            changes.mark_unchanged();
            println!("\n{}", describe(provider));
        }
        list_once(s3, options).await?;
    }
}

fn describe(provider: &EksCredentialsProvider) -> String {
    let status = provider.status();
    let source = status.source.map_or_else(|| "nowhere".to_owned(), |source| source.to_string());
    let account = provider.cached().and_then(|c| c.account_id().map(|id| id.as_str().to_owned()));
    let expiry =
        status.expiry.map_or_else(|| "never".to_owned(), |at| aws_smithy_types::DateTime::from(at).to_string());
    let account = account.unwrap_or_else(|| "unknown".to_owned());
    let mut line = format!("Credentials from {source}, account {account}, expire {expiry}, fetch {}", status.refreshes);
    if let (Health::Degraded | Health::Expired, Some(error)) = (status.health, status.last_error) {
        line = format!("{line}; last refresh failed: {error}");
    }
    line
}

async fn list_once(s3: &Client, options: &Options) -> Result<(), Box<dyn Error>> {
    let names: Vec<String> = match &options.bucket {
        Some(bucket) => {
            let objects = s3.list_objects_v2().bucket(bucket).send().await?;
            objects.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()
        }
        None => {
            let buckets = s3.list_buckets().send().await?;
            buckets.buckets().iter().filter_map(|bucket| bucket.name().map(str::to_owned)).collect()
        }
    };
    let what = options.bucket.as_ref().map_or_else(|| "buckets".to_owned(), |bucket| format!("objects in {bucket}"));
    println!("  {} {what}: {}", names.len(), names.join(", "));
    Ok(())
}
