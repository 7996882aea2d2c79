//! An SDK client without aws-config. `provider.sdk_config(..)` configures the client, and `provider.recovery()` handles
//! credentials that a service refuses before they expire.
#![allow(clippy::print_stdout, reason = "the output is for people")]

#[path = "support/program.rs"]
mod program;

use std::process::ExitCode;

use aws_sdk_s3::error::DisplayErrorContext;
use eks_credentials::{BehaviorVersion, EksCredentialsProvider};

const USAGE: &str = "\
usage: sdk_config

Counts the S3 buckets in the account of this pod's credentials. It takes no arguments.

Exit code: 0 if the buckets were counted; 1 if a request failed or there are no credentials; 64 if there are arguments; 130 or
143 if SIGINT or SIGTERM ended the program early.";

fn main() -> ExitCode {
    program::run(USAGE, program::no_arguments, |(), mut signals| async move {
        match signals.interrupt(count_buckets()).await {
            Ok(Ok(())) => ExitCode::SUCCESS,
            Ok(Err(error)) => program::failed(&*error),
            Err(signal) => signal.exit_code(),
        }
    })
}

async fn count_buckets() -> Result<(), Box<dyn std::error::Error>> {
    let provider = EksCredentialsProvider::from_env()?;
    // This call is optional. Outside a pod its error says what is missing; S3 would only report a missing region.
    provider.warm_up().await?;
    let config = provider.sdk_config(BehaviorVersion::latest()).build();
    // If S3 refuses the credentials before they expire, `recovery` refreshes them, and the SDK retries the request.
    let config = aws_sdk_s3::config::Builder::from(&config)
        .interceptor(provider.recovery())
        .retry_classifier(provider.recovery());
    let s3 = aws_sdk_s3::Client::from_conf(config.build());

    match s3.list_buckets().send().await {
        Ok(listed) => println!("{} buckets", listed.buckets().len()),
        Err(error) => return Err(DisplayErrorContext(error).to_string().into()),
    }
    Ok(())
}
