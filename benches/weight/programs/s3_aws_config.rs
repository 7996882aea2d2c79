//! Lists buckets with aws-config's credentials.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    println!("{}", aws_sdk_s3::Client::new(&config).list_buckets().send().await?.buckets().len());
    Ok(())
}
