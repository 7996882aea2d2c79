//! A token and the time at which it expires.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use crate::clock;

/// An IAM token, and the time until which it is accepted.
///
/// The token is a secret. `Debug` shows only the time, there is no `Display`, and the memory is wiped when the value is
/// dropped. [`as_str`](Self::as_str) returns the token.
#[derive(Clone)]
pub struct IamToken {
    text: Zeroizing<String>,
    expires_at: SystemTime,
}

impl IamToken {
    pub(super) fn new(text: Zeroizing<String>, expires_at: SystemTime) -> Self {
        Self { text, expires_at }
    }

    /// Returns the token itself: the password, or for Kafka the OAUTHBEARER token.
    ///
    /// Do not log it. Until [`expires_at`](Self::expires_at), everyone who has it can connect.
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).region("eu-central-1").build()?;
    /// let token = provider.iam_tokens().eks("my-cluster")?.token().await?;
    /// let header = format!("Bearer {}", token.as_str());
    /// # assert!(header.starts_with("Bearer k8s-aws-v1.")); Ok(()) }
    /// ```
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the time at which the token expires, in whole seconds. EKS accepts a token for one more minute.
    ///
    /// This is the end of the token's own lifetime (15 minutes, for EKS 14 minutes), or the expiry of the credentials that
    /// signed it, whichever is earlier. It is a time of the local clock.
    ///
    /// A connection that was opened before this time stays open, except as described in
    /// [`docs::iam_tokens`](crate::docs::iam_tokens).
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).region("eu-central-1").build()?;
    /// let token = provider.iam_tokens().memorydb("my-cluster", "app")?.token().await?;
    /// assert!(token.expires_at() <= SystemTime::now() + Duration::from_secs(15 * 60));
    /// # Ok(()) }
    /// ```
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// Returns [`expires_at`](Self::expires_at) in milliseconds since 1970, the unit of librdkafka (`md_lifetime_ms`, in
    /// rdkafka `OAuthToken::lifetime_ms`).
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).region("eu-central-1").build()?;
    /// let token = provider.iam_tokens().msk()?.token().await?;
    /// let lifetime_ms: i64 = token.expires_at_millis();
    /// # assert!(lifetime_ms > 1_700_000_000_000); Ok(()) }
    /// ```
    pub fn expires_at_millis(&self) -> i64 {
        i64::try_from(clock::since(self.expires_at, UNIX_EPOCH).as_millis()).unwrap_or(i64::MAX)
    }
}

impl fmt::Debug for IamToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IamToken").field("expires_at", &clock::rfc3339(self.expires_at)).finish_non_exhaustive()
    }
}
