//! Amazon MSK, by the SASL mechanism OAUTHBEARER.

use super::request::{Form, Lifetime, Query, Request};
use super::{IamTokenGenerator, IamTokens};
use crate::error::Error;

impl IamTokens {
    /// Returns a generator of OAUTHBEARER tokens for Amazon MSK. A token is valid for at most 15 minutes.
    ///
    /// A token is valid for every cluster in the region for which the role has `kafka-cluster:Connect`. The brokers accept it
    /// at port 9098, or 9198 for public access. Clients with librdkafka must call
    /// [`try_token`](IamTokenGenerator::try_token) in their callback, which runs on a thread without a runtime.
    ///
    /// The brokers write the parameter `User-Agent` of the token to their log. It is `eks-credentials/` and the version of this
    /// crate.
    ///
    /// # Errors
    ///
    /// [`InvalidConfiguration`](crate::ErrorKind::InvalidConfiguration) if the AWS region is missing or invalid.
    ///
    /// # Examples
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).region("eu-central-1").build()?;
    /// provider.warm_up().await?;
    /// let generator = provider.iam_tokens().msk()?;
    /// let token = generator.try_token()?;
    /// let (text, lifetime_ms) = (token.as_str().to_owned(), token.expires_at_millis());
    /// # assert!(text.starts_with("aHR0cHM6Ly9rYWZrYS5ldS1jZW50cmFsLTEu") && lifetime_ms > 0); Ok(()) }
    /// ```
    pub fn msk(&self) -> Result<IamTokenGenerator, Error> {
        self.generator(|region| Request {
            service: "kafka-cluster",
            // The signer libraries of MSK use this domain in every partition. The brokers only verify the signature.
            authority: format!("kafka.{region}.amazonaws.com"),
            query: Query::new("Action", "kafka-cluster:Connect"),
            header: None,
            lifetime: Lifetime::QUARTER,
            form: Form::Base64 {
                prefix: "",
                // Not signed, as in the signer libraries of MSK.
                suffix: concat!("&User-Agent=eks-credentials%2F", env!("CARGO_PKG_VERSION")),
            },
        })
    }
}
