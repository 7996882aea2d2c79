//! Which credentials sign a token: those that last long enough, or else the current ones.

use std::fmt;
use std::sync::Arc;

use aws_credential_types::Credentials;

use super::request::Request;
use super::signed::signed;
use super::token::IamToken;
use crate::env::region::Region;
use crate::error::Error;
use crate::provider::EksCredentialsProvider;
use crate::refresh::cache::Current;

/// A generator of tokens for one user of a database or cache, for Kafka, or for an EKS cluster.
///
/// The methods of [`IamTokens`](super::IamTokens) return it. Create it once, and call [`token`](Self::token) for every new
/// connection. Cloning is cheap. It contains a clone of the provider.
///
/// Every call signs a new token, which needs a few hashes. No token is cached, and no service is called.
#[derive(Clone)]
pub struct IamTokenGenerator {
    provider: EksCredentialsProvider,
    target: Arc<Target>,
}

struct Target {
    region: Region,
    request: Request,
}

impl IamTokenGenerator {
    pub(super) fn new(provider: EksCredentialsProvider, region: Region, request: Request) -> Self {
        Self { provider, target: Arc::new(Target { region, request }) }
    }

    /// Signs a token. If the current credentials expire before the token would, this fetches new ones first.
    ///
    /// [`IamToken::expires_at`] is usually 15 minutes from now (EKS: 14 minutes). It is earlier in two cases, in which this
    /// signs with the current credentials and returns no error:
    ///
    /// - New credentials cannot be fetched, for example in an outage.
    /// - The credentials of the source never last that long. To avoid a fetch for every token, this fetches only if less
    ///   than half of their lifetime is left.
    ///
    /// # Errors
    ///
    /// Returns the error of the last fetch if there are no credentials that are still valid. Expired credentials, which
    /// [`credentials`](EksCredentialsProvider::credentials) may serve in an outage, sign no token: it would expire at once.
    /// This waits for at most the same time as [`credentials_valid_for`](EksCredentialsProvider::credentials_valid_for).
    ///
    /// # Examples
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).region("eu-central-1").build()?;
    /// let generator = provider.iam_tokens().dsql("4eabcd.dsql.eu-central-1.on.aws")?;
    /// let password = generator.token().await?;
    /// # assert!(password.as_str().contains("Action=DbConnect&")); Ok(()) }
    /// ```
    pub async fn token(&self) -> Result<IamToken, Error> {
        let credentials = self.provider.core().get_lasting(self.target.request.lifetime.token, pick).await?;
        self.signed(&credentials)
    }

    /// Signs a token with the current credentials, without waiting and without a runtime, for callbacks of C libraries such as
    /// librdkafka.
    ///
    /// If a refresh is due, or if the credentials expire before the token would, this wakes the refresh task. In the second
    /// case, the token expires with the current credentials. If there are no credentials yet, this starts the refresh task and
    /// returns an error. Call [`warm_up`](EksCredentialsProvider::warm_up) before, so that the first token does not fail.
    ///
    /// # Errors
    ///
    /// If there are no credentials that are still valid: the error of the last fetch, or an error of the kind
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if no fetch has ended yet.
    ///
    /// # Examples
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).region("eu-central-1").build()?;
    /// let generator = provider.iam_tokens().msk()?;
    /// assert!(generator.try_token().is_err());
    /// provider.warm_up().await?;
    /// let token = generator.try_token()?;
    /// # assert!(token.expires_at_millis() > 0); Ok(()) }
    /// ```
    pub fn try_token(&self) -> Result<IamToken, Error> {
        let credentials = self.provider.core().cached_lasting(self.target.request.lifetime.token, pick)?;
        self.signed(&credentials)
    }

    fn signed(&self, credentials: &Credentials) -> Result<IamToken, Error> {
        let Target { region, request } = &*self.target;
        let core = self.provider.core();
        signed(request, region, credentials, core.now(), |time| core.on_server_clock(time))?
            .ok_or_else(|| core.not_usable())
    }
}

impl fmt::Debug for IamTokenGenerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Target { region, request } = &*self.target;
        f.debug_struct("IamTokenGenerator")
            .field("service", &request.service)
            .field("region", &region.as_str())
            .field("host", &request.authority)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

fn pick(current: &Current) -> Credentials {
    current.credentials.clone()
}
