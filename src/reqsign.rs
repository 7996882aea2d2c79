//! A credential provider for the crate `reqsign-core`, version 3, which OpenDAL uses.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use reqsign_aws_v4::Credential;
use reqsign_core::time::Timestamp;
use reqsign_core::{Context, Error as ReqsignError, ErrorKind as ReqsignErrorKind, ProvideCredential, Result};

use crate::error::{Error, ErrorKind};
use crate::provider::EksCredentialsProvider;

impl EksCredentialsProvider {
    /// Returns a credential provider for reqsign 3, for example for the S3 service of OpenDAL 0.59.
    ///
    /// The name of the method contains the version, as the feature does: a later version gets a method of its own, and this one
    /// does not change.
    ///
    /// - **One refresh for all operators**: the returned value contains a clone of this provider. All signers that use it, and
    ///   all other users of the provider, share the credentials and the refresh task.
    /// - **Expiry**: the credentials contain their expiry. A `Signer` of reqsign keeps a copy of the credentials until 120 s
    ///   before they expire. From then on it calls this provider for each request, which returns the current credentials from its
    ///   cache. This causes no request to STS or to the agent.
    /// - **Last seconds**: reqsign signs no request with credentials that expire within 10 s. In an outage, requests therefore
    ///   fail 10 s before the credentials expire, and [expired credentials](crate::Builder::serve_expired) cannot be used.
    /// - **Secrets**: `Credential` contains plain strings. Unlike the credentials in this provider, they are not wiped from memory
    ///   when they are dropped. Its `Debug` redacts them.
    ///
    /// For presigned URLs, see [`reqsign_3_valid_for`](Self::reqsign_3_valid_for).
    ///
    /// # Errors
    ///
    /// If there are no credentials, `provide_credential` returns an error with the [`Error`](crate::Error) of
    /// [`credentials`](Self::credentials) as its source.
    ///
    /// A `ProvideCredentialChain` does not return this error. The chain logs it at WARN through the crate
    /// [`log`](https://docs.rs/log) and tries its next provider. If no provider returns credentials, the signer returns only the
    /// error "failed to load signing credential". The reason is in
    /// [`status`](Self::status), in `last_error`, and in the [events](crate#events) of this crate.
    ///
    /// # Examples
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// use reqsign_core::{Context, ProvideCredential as _, ProvideCredentialChain};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// // For OpenDAL: `S3::default().credential_provider_chain(chain)`.
    /// let chain = ProvideCredentialChain::new().push(provider.reqsign_3());
    /// let credential = chain.provide_credential(&Context::new()).await?.expect("a credential");
    /// assert!(credential.expires_in.is_some());
    /// # Ok(()) }
    /// ```
    pub fn reqsign_3(&self) -> impl ProvideCredential<Credential = Credential> + Clone + use<> {
        ForReqsign { provider: self.clone(), valid_for: None }
    }

    /// Returns a credential provider for reqsign 3 whose credentials are valid for `ttl` from each call, for presigned URLs.
    ///
    /// reqsign refuses to presign a URL that would be valid longer than the credentials. It does not tell its credential provider
    /// how long the URL must be valid. Use this credential provider only in an operator that presigns, and
    /// set `ttl` to the longest lifetime of its URLs. If the current credentials expire earlier, it fetches new ones, as
    /// [`credentials_valid_for`](Self::credentials_valid_for) does.
    ///
    /// Do not use it in an operator that sends requests: in an outage, its requests would fail before the credentials expire, at
    /// most `ttl` before.
    ///
    /// # Errors
    ///
    /// `provide_credential` returns an error with an error of [`credentials_valid_for`](Self::credentials_valid_for) as its
    /// source. Its kind is [`LifetimeTooShort`](crate::ErrorKind::LifetimeTooShort) if new credentials also expire too early. As
    /// for [`reqsign_3`](Self::reqsign_3), a chain only logs it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// use std::time::Duration;
    ///
    /// use reqsign_core::{Context, ProvideCredential as _};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// let credentials = provider.reqsign_3_valid_for(Duration::from_secs(15 * 60));
    /// assert!(credentials.provide_credential(&Context::new()).await?.is_some());
    ///
    /// // Credentials from STS last one hour by default.
    /// let too_long = provider.reqsign_3_valid_for(Duration::from_secs(2 * 3600));
    /// assert!(too_long.provide_credential(&Context::new()).await.is_err());
    /// # Ok(()) }
    /// ```
    pub fn reqsign_3_valid_for(
        &self,
        ttl: Duration,
    ) -> impl ProvideCredential<Credential = Credential> + Clone + use<> {
        ForReqsign { provider: self.clone(), valid_for: Some(ttl) }
    }
}

#[derive(Clone, Debug)]
struct ForReqsign {
    provider: EksCredentialsProvider,
    /// The shortest validity of the returned credentials, if the program requires one.
    valid_for: Option<Duration>,
}

impl ProvideCredential for ForReqsign {
    type Credential = Credential;

    async fn provide_credential(&self, _: &Context) -> Result<Option<Credential>> {
        let credentials = match self.valid_for {
            None => self.provider.credentials().await,
            Some(ttl) => self.provider.credentials_valid_for(ttl).await,
        };
        convert(&credentials.map_err(convert_error)?).map(Some)
    }
}

fn convert(credentials: &Credentials) -> Result<Credential> {
    Ok(Credential {
        access_key_id: credentials.access_key_id().to_owned(),
        secret_access_key: credentials.secret_access_key().to_owned(),
        session_token: credentials.session_token().map(str::to_owned),
        expires_in: credentials.expiry().map(timestamp).transpose()?,
    })
}

/// Rounds down to milliseconds.
fn timestamp(expiry: SystemTime) -> Result<Timestamp> {
    // Credentials from before 1970 have expired in any case.
    let since_epoch = expiry.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millisecond(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// The kind is for people: reqsign and OpenDAL make no decision that depends on it.
fn convert_error(error: Error) -> ReqsignError {
    let kind = match error.kind() {
        ErrorKind::NotConfigured | ErrorKind::InvalidConfiguration => ReqsignErrorKind::ConfigInvalid,
        ErrorKind::Denied => ReqsignErrorKind::PermissionDenied,
        ErrorKind::Throttled => ReqsignErrorKind::RateLimited,
        ErrorKind::TokenFile
        | ErrorKind::TokenRejected
        | ErrorKind::ExpiredCredentials
        | ErrorKind::LifetimeTooShort => ReqsignErrorKind::CredentialInvalid,
        _ => ReqsignErrorKind::Unexpected,
    };
    ReqsignError::new(kind, error.to_string()).set_retryable(error.is_transient()).with_source(error)
}
