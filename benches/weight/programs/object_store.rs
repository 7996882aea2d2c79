//! Gets credentials as a service would with object_store.

use object_store::aws::AmazonS3Builder;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let s3 = AmazonS3Builder::from_env().with_bucket_name("bucket").build()?;
    let credentials = s3.credentials().get_credential().await?;
    println!("{}", credentials.key_id);
    std::io::read_to_string(std::io::stdin())?;
    Ok(())
}
