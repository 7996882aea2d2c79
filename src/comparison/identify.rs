//! Who granted credentials are by the word of STS (`GetCallerIdentity`), in a build that can ask it.

use aws_credential_types::Credentials;

use crate::error::Error;

/// STS as this pod reaches it.
#[cfg(all(feature = "diagnose", feature = "irsa"))]
pub(crate) struct Identify {
    pub(crate) env: crate::env::Env,
    pub(crate) settings: crate::detect::Settings,
    pub(crate) http_client: Option<reqwest::Client>,
    pub(crate) time: aws_smithy_async::time::SharedTimeSource,
}

#[cfg(all(feature = "diagnose", feature = "irsa"))]
impl Identify {
    /// The ARN. `None`: this build cannot ask for it.
    pub(crate) async fn arn(&self, credentials: &Credentials) -> Option<Result<String, Error>> {
        use crate::caller_identity::{Sts, caller_identity};

        let sts = match Sts::new(&self.env, &self.settings, self.http_client.clone()).await {
            Ok(sts) => sts,
            Err(error) => return Some(Err(error)),
        };
        Some(caller_identity(&sts, credentials, self.time.now()).await.map(|caller| caller.arn))
    }
}

#[cfg(not(all(feature = "diagnose", feature = "irsa")))]
pub(crate) struct Identify;

#[cfg(not(all(feature = "diagnose", feature = "irsa")))]
impl Identify {
    pub(crate) async fn arn(&self, _: &Credentials) -> Option<Result<String, Error>> {
        None
    }
}
