use std::sync::Arc;

use eks_credentials::EksCredentialsProvider;
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;

pub(crate) fn store(url: &str, provider: &EksCredentialsProvider) -> object_store::Result<Arc<dyn ObjectStore>> {
    let store = AmazonS3Builder::new()
        .with_endpoint(url)
        .with_allow_http(true)
        .with_region("eu-central-1")
        .with_bucket_name("invoices-2026")
        .with_credentials(provider.object_store_0_14())
        .build()?;
    Ok(Arc::new(store))
}
