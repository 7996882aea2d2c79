use eks_credentials::EksCredentialsProvider;
use opendal::Operator;
use opendal::services::S3;
use reqsign_core::ProvideCredentialChain;

pub(crate) fn operator(url: &str, provider: &EksCredentialsProvider) -> opendal::Result<Operator> {
    let s3 = S3::default()
        .endpoint(url)
        .region("eu-central-1")
        .bucket("invoices-2026")
        .credential_provider_chain(ProvideCredentialChain::new().push(provider.reqsign_3()));
    Operator::new(s3)
}
