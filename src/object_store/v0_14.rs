//! Version 0.14.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use object_store_0_14::aws::{AwsCredential, AwsCredentialProvider};
use object_store_0_14::{CredentialProvider, Error, Result};

use crate::object_store::{Converting, STORE};
use crate::provider::EksCredentialsProvider;

impl EksCredentialsProvider {
    /// Returns a credential provider for `object_store` 0.14.
    ///
    /// It works with every library that takes a store or a configuration of `object_store` 0.14. The name of the method contains
    /// the version, as the feature does: a later version gets a method of its own, and this one does not change.
    ///
    /// - **One refresh for all stores**: the returned value contains a clone of this provider. All stores that use it, and all
    ///   other users of the provider, share the credentials and the refresh task.
    /// - **One conversion for each refresh**: the returned value keeps the credentials in the type of `object_store` until they
    ///   are replaced. Pass clones of the `Arc` to many stores, so that they share this copy too.
    /// - **Waiting**: a request waits for credentials in the same cases as [`credentials`](Self::credentials). The future itself
    ///   can be polled on any executor.
    /// - **Secrets**: `AwsCredential` contains plain strings. Unlike the credentials in this provider, they are not wiped from
    ///   memory when they are dropped. Its `Debug` shows the access key id and redacts the rest.
    /// - **Recovery**: `object_store` does not report refused credentials. If S3 refuses credentials before they expire, call
    ///   [`invalidate`](Self::invalidate) with [`cached`](Self::cached).
    ///
    /// For signed URLs, see [`object_store_0_14_valid_for`](Self::object_store_0_14_valid_for).
    ///
    /// # Errors
    ///
    /// If there are no credentials, `get_credential` returns `object_store::Error::Generic` with the [`Error`](crate::Error) of
    /// [`credentials`](Self::credentials) as its source. `object_store` passes this error to the program and does not repeat
    /// the request, because the refresh task has already retried.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use object_store_0_14 as object_store;
    /// use eks_credentials::EksCredentialsProvider;
    /// use object_store::aws::AmazonS3Builder;
    ///
    /// # fn store() -> Result<(), Box<dyn std::error::Error>> {
    /// let provider = EksCredentialsProvider::from_env()?;
    /// let store = AmazonS3Builder::from_env()
    ///     .with_bucket_name("my-bucket")
    ///     .with_credentials(provider.object_store_0_14())
    ///     .build()?;
    /// # drop(store); Ok(()) }
    /// ```
    pub fn object_store_0_14(&self) -> AwsCredentialProvider {
        Arc::new(Converting::new(self.clone(), None, convert))
    }

    /// Returns a credential provider for `object_store` 0.14 whose credentials are valid for `ttl` from each call, for signed
    /// URLs.
    ///
    /// A signed URL stops working when the credentials that signed it expire. `object_store` does not tell its credential
    /// provider how long a URL must be valid. Use this credential provider only in a store that signs URLs, and set
    /// `ttl` to the longest lifetime of these URLs. If the current credentials expire earlier, it fetches new ones, as
    /// [`credentials_valid_for`](Self::credentials_valid_for) does.
    ///
    /// Do not use it in a store that sends requests: in an outage, its requests would fail `ttl` before the credentials expire.
    ///
    /// # Errors
    ///
    /// `get_credential` returns `object_store::Error::Generic` with an error of
    /// [`credentials_valid_for`](Self::credentials_valid_for) as its source. Its kind is
    /// [`LifetimeTooShort`](crate::ErrorKind::LifetimeTooShort) if new credentials also expire too early.
    ///
    /// # Examples
    ///
    /// ```
    /// # use object_store_0_14 as object_store;
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// // Pass it to `AmazonS3Builder::with_credentials`.
    /// let credentials = provider.object_store_0_14_valid_for(Duration::from_secs(15 * 60));
    /// credentials.get_credential().await?;
    ///
    /// // Credentials from STS last one hour by default.
    /// let too_long = provider.object_store_0_14_valid_for(Duration::from_secs(2 * 3600));
    /// assert!(too_long.get_credential().await.is_err());
    /// # Ok(()) }
    /// ```
    pub fn object_store_0_14_valid_for(&self, ttl: Duration) -> AwsCredentialProvider {
        Arc::new(Converting::new(self.clone(), Some(ttl), convert))
    }
}

fn convert(credentials: &Credentials) -> AwsCredential {
    AwsCredential {
        key_id: credentials.access_key_id().to_owned(),
        secret_key: credentials.secret_access_key().to_owned(),
        token: credentials.session_token().map(str::to_owned),
    }
}

#[async_trait]
impl CredentialProvider for Converting<AwsCredential> {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        self.get().await.map_err(|error| Error::Generic { store: STORE, source: Box::new(error) })
    }
}
