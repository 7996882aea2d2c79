//! Version 0.13.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use object_store_0_13::aws::{AwsCredential, AwsCredentialProvider};
use object_store_0_13::{CredentialProvider, Error, Result};

use crate::object_store::{Converting, STORE};
use crate::provider::EksCredentialsProvider;

impl EksCredentialsProvider {
    /// Returns a credential provider for `object_store` 0.13.
    ///
    /// It works with every library that takes a store or a configuration of `object_store` 0.13, for example deltalake-core 1.1.
    /// It shares the refresh task, waits, and reports errors as the page about
    /// [`object_store`](crate::docs::object_store) says, which is about this version too. The name of the method contains the
    /// version: another version has a method of its own, and this one does not change.
    ///
    /// `AwsCredential` contains plain strings, which are not wiped from memory when they are dropped. Its `Debug` redacts the
    /// secret key and the session token.
    ///
    /// # Errors
    ///
    /// If there are no credentials, `get_credential` returns `object_store::Error::Generic` with the [`Error`](crate::Error) of
    /// [`credentials`](Self::credentials) as its source.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use object_store_0_13 as object_store;
    /// use eks_credentials::EksCredentialsProvider;
    /// use object_store::aws::AmazonS3Builder;
    ///
    /// # fn store() -> Result<(), Box<dyn std::error::Error>> {
    /// let provider = EksCredentialsProvider::from_env()?;
    /// let store = AmazonS3Builder::from_env()
    ///     .with_bucket_name("my-bucket")
    ///     .with_credentials(provider.object_store_0_13())
    ///     .build()?;
    /// # drop(store); Ok(()) }
    /// ```
    pub fn object_store_0_13(&self) -> AwsCredentialProvider {
        Arc::new(Converting::new(self.clone(), None, convert))
    }

    /// Returns a credential provider for `object_store` 0.13 whose credentials are valid for `ttl` from each call, for signed
    /// URLs.
    ///
    /// Use it only in a store that signs URLs, and set `ttl` to the longest lifetime of these URLs. Requests of the same store
    /// would fail in an outage `ttl` before the credentials expire. The page about [`object_store`](crate::docs::object_store)
    /// explains why.
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
    /// # use object_store_0_13 as object_store;
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// // Pass it to `AmazonS3Builder::with_credentials`.
    /// let credentials = provider.object_store_0_13_valid_for(Duration::from_secs(15 * 60));
    /// credentials.get_credential().await?;
    ///
    /// // Credentials from STS last one hour by default.
    /// let too_long = provider.object_store_0_13_valid_for(Duration::from_secs(2 * 3600));
    /// assert!(too_long.get_credential().await.is_err());
    /// # Ok(()) }
    /// ```
    pub fn object_store_0_13_valid_for(&self, ttl: Duration) -> AwsCredentialProvider {
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
