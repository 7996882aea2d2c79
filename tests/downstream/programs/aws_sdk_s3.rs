//! Lists buckets at the URL in the arguments, with static credentials and the default HTTPS client of the SDK.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Config, Credentials, Region};

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let work = || runtime.block_on(list());
    work();
    #[cfg(feature = "used")]
    used::fetch();
    work();
}

async fn list() {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(std::env::args().nth(1).unwrap())
        .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "static"))
        .build();
    let listed = Client::from_conf(config).list_buckets().send().await.unwrap();
    let names: Vec<_> = listed.buckets().iter().map(|bucket| bucket.name()).collect();
    println!("{names:?}");
}
