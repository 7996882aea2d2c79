//! Gets credentials as a service would with this crate.

use eks_credentials::EksCredentialsProvider;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let credentials = EksCredentialsProvider::from_env()?.credentials().await?;
    println!("{}", credentials.access_key_id());
    std::io::read_to_string(std::io::stdin())?;
    Ok(())
}
