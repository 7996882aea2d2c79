//! Who granted credentials are by the word of STS (`GetCallerIdentity`), in a build that can ask it.

use aws_credential_types::Credentials;

#[cfg(all(feature = "diagnose", feature = "irsa"))]
pub(crate) use crate::diagnose::Subject as Identify;
use crate::error::Error;

#[cfg(not(all(feature = "diagnose", feature = "irsa")))]
pub(crate) struct Identify;

impl Identify {
    /// The ARN. `None`: this build cannot ask for it.
    #[cfg(all(feature = "diagnose", feature = "irsa"))]
    pub(crate) async fn arn(&self, credentials: &Credentials) -> Option<Result<String, Error>> {
        Some(self.caller_identity(credentials).await.map(|caller| caller.arn))
    }

    #[cfg(not(all(feature = "diagnose", feature = "irsa")))]
    pub(crate) async fn arn(&self, _: &Credentials) -> Option<Result<String, Error>> {
        None
    }
}
