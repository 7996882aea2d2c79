//! Gets credentials as a service would with reqsign.

use reqsign_aws_v4::DefaultCredentialProvider;
use reqsign_core::{Context, OsEnv, ProvideCredential};
use reqsign_file_read_tokio::TokioFileRead;
use reqsign_http_send_reqwest::ReqwestHttpSend;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let context = Context::new()
        .with_file_read(TokioFileRead)
        .with_http_send(ReqwestHttpSend::default())
        .with_env(OsEnv);
    let credentials = DefaultCredentialProvider::new().provide_credential(&context).await?.ok_or("no credentials")?;
    println!("{}", credentials.access_key_id);
    std::io::read_to_string(std::io::stdin())?;
    Ok(())
}
