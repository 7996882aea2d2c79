//! An SDK client from this crate alone, without aws-config: `provider.sdk_config(..)` is all it takes.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use aws_sdk_s3::error::DisplayErrorContext;
use eks_credentials::{BehaviorVersion, EksCredentialsProvider};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let provider = EksCredentialsProvider::from_env()?;
    // Not needed, but outside a pod this says why, before S3 asks for a region.
    provider.warm_up().await?;
    let config = provider.sdk_config(BehaviorVersion::latest()).build();
    // If S3 refuses the credentials before they expire, they are renewed and the attempt is repeated.
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
