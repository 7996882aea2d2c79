//! Lists buckets with this crate's credentials.

use eks_credentials::{BehaviorVersion, EksCredentialsProvider};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = EksCredentialsProvider::from_env()?.sdk_config(BehaviorVersion::latest()).build();
    println!("{}", aws_sdk_s3::Client::new(&config).list_buckets().send().await?.buckets().len());
    Ok(())
}
