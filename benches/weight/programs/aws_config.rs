//! Gets credentials as a service would with aws-config.

use aws_config::BehaviorVersion;
use aws_credential_types::provider::ProvideCredentials;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let credentials = config.credentials_provider().ok_or("no provider")?.provide_credentials().await?;
    println!("{}", credentials.access_key_id());
    std::io::read_to_string(std::io::stdin())?;
    Ok(())
}
