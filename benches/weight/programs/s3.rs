//! Lists buckets with static credentials. The other S3 programs add a provider to this one.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let var = std::env::var;
    let given = aws_sdk_s3::config::Credentials::new(var("AWS_ACCESS_KEY_ID")?, var("AWS_SECRET_ACCESS_KEY")?, None, None, "given");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .region(aws_sdk_s3::config::Region::new(var("AWS_REGION")?))
        .credentials_provider(given)
        .build();
    println!("{}", aws_sdk_s3::Client::from_conf(config).list_buckets().send().await?.buckets().len());
    Ok(())
}
