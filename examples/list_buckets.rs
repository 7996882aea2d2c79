//! Lists S3 buckets with the credentials of the pod, and prints the source of the credentials.
//!
//! In a pod it uses the region in `AWS_REGION`, and the endpoints in `AWS_ENDPOINT_URL_S3` and `AWS_ENDPOINT_URL_STS` if they
//! are set. If the pod has no credentials, it prints the reason, and the exit code is 1.
//!
//! Outside a cluster, `cargo run --example list_buckets` starts a local pod: STS, Pod Identity agent and S3 on loopback. It
//! lists the buckets of the local pod twice, with IRSA and with EKS Pod Identity.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the output is for people")]

#[cfg(feature = "testing")]
#[path = "local/list_buckets.rs"]
mod local;
#[cfg(not(feature = "testing"))]
#[path = "local/none.rs"]
mod local;
#[path = "support/program.rs"]
mod program;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::DisplayErrorContext;
use eks_credentials::{BehaviorVersion, EksCredentialsProvider, Health};
use tokio::time::{MissedTickBehavior, interval};

const USAGE: &str = "\
usage: list_buckets [--watch] [--bucket NAME] [--local]

Lists the S3 buckets in the account of this pod's credentials.

  --watch        lists once per second and prints every refresh, until SIGTERM or SIGINT
  --bucket NAME  lists the objects in this bucket instead
  --local        uses a local pod on loopback, even if this environment configures credentials. Outside a cluster this is
                 the default if it configures none. Refused in a cluster

Exit code: 0 if everything was listed, or if a signal ended --watch; 1 if a request failed or there are no credentials; 64 if
the arguments are wrong; 130 or 143 if SIGINT or SIGTERM ended the program early.";

#[derive(Clone, Default)]
struct Options {
    watch: bool,
    bucket: Option<String>,
    local: bool,
}

fn main() -> ExitCode {
    program::run(USAGE, options, |options, mut signals| async move {
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
        match signals.interrupt(run(&options)).await {
            Ok(code) => code,
            Err(signal) if options.watch => {
                eprintln!("{} received", signal.name());
                ExitCode::SUCCESS
            }
            Err(signal) => signal.exit_code(),
        }
    })
}

fn options(args: &mut program::Arguments) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--watch" => options.watch = true,
            "--bucket" => options.bucket = Some(args.next().ok_or("--bucket needs a name")?),
            "--local" => {
                program::stand_ins_for(&arg)?;
                options.local = true;
            }
            other => return Err(program::unknown(other)),
        }
    }
    Ok(options)
}

async fn run(options: &Options) -> ExitCode {
    let listed = if options.local {
        local::run(options).await
    } else {
        match program::provider().await {
            Ok(Some(provider)) => list(&provider, options).await,
            Ok(None) => {
                println!("Not in a pod: neither IRSA nor EKS Pod Identity is configured in this environment.");
                local::run(options).await
            }
            Err(code) => return code,
        }
    };
    match listed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", DisplayErrorContext(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Lists once. With `--watch`, lists until the future is dropped.
async fn list(provider: &EksCredentialsProvider, options: &Options) -> Result<(), Box<dyn Error>> {
    provider.warm_up().await?;
    println!("\n{}", describe(provider));
    let config = provider.sdk_config(BehaviorVersion::latest()).build();
    // If S3 refuses the credentials before they expire, `recovery` refreshes them, and the SDK retries the request.
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
    let source = status.source.map_or_else(|| "no source".to_owned(), |source| source.to_string());
    let account = provider.cached().and_then(|c| c.account_id().map(|id| id.as_str().to_owned()));
    let expiry =
        status.expiry.map_or_else(|| "never".to_owned(), |at| aws_smithy_types::DateTime::from(at).to_string());
    let account = account.unwrap_or_else(|| "unknown".to_owned());
    let mut line =
        format!("Credentials from {source}, account {account}, expiry {expiry}, refreshes {}", status.refreshes);
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
