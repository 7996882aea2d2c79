//! Settings of IRSA.

use std::path::PathBuf;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::HttpClient;

use super::Builder;
use crate::transport;

impl Builder {
    /// The role to assume. Default: `AWS_ROLE_ARN`.
    pub fn role_arn(mut self, role_arn: impl Into<String>) -> Self {
        self.settings.irsa.role_arn = Some(role_arn.into());
        self
    }

    /// The file with the service account token. Default: `AWS_WEB_IDENTITY_TOKEN_FILE`. Read anew for every attempt.
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.irsa.token_file = Some(path.into());
        self
    }

    /// The role session name, which CloudTrail shows: 2–64 characters of `[A-Za-z0-9_+=,.@-]`. Default:
    /// `AWS_ROLE_SESSION_NAME`, else `{namespace}-{pod}` from the token, else the host name, cut to its last 64
    /// characters. It stays the same for the life of the process.
    pub fn session_name(mut self, name: impl Into<String>) -> Self {
        self.settings.irsa.session_name = Some(name.into());
        self
    }

    /// `DurationSeconds`: 15 minutes to 12 hours, in whole seconds, and not more than the role's maximum session
    /// duration. Default: not sent, for which STS gives one hour.
    pub fn session_length(mut self, length: Duration) -> Self {
        self.settings.irsa.session_length = Some(length);
        self
    }

    /// An inline session policy in JSON, at most 2,048 characters, which narrows the role's permissions. EKS Pod Identity
    /// cannot do that: in a pod that would use it, also as a fallback, it is an error of [`build`](Self::build).
    pub fn policy(mut self, policy: impl Into<String>) -> Self {
        self.settings.irsa.policy = Some(policy.into());
        self
    }

    /// The ARNs of managed session policies, which narrow the role's permissions: at most 10. They replace those of an earlier
    /// call. With EKS Pod Identity they are an error, as [`policy`](Self::policy) is.
    pub fn policy_arns(mut self, arns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.settings.irsa.policy_arns = arns.into_iter().map(Into::into).collect();
        self
    }

    /// `ProviderId`: only for OAuth 2.0 identity providers, never for a Kubernetes token. STS requires it to be absent
    /// for OpenID Connect.
    pub fn provider_id(mut self, provider_id: impl Into<String>) -> Self {
        self.settings.irsa.provider_id = Some(provider_id.into());
        self
    }

    /// The URL of STS. Default: `AWS_ENDPOINT_URL_STS`, then `AWS_ENDPOINT_URL` (neither if
    /// `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` is `true`), then the regional endpoint, with `AWS_USE_FIPS_ENDPOINT` and
    /// `AWS_USE_DUALSTACK_ENDPOINT`.
    pub fn sts_endpoint(mut self, url: impl Into<String>) -> Self {
        self.settings.irsa.sts_endpoint = Some(url.into());
        self
    }

    /// The HTTP client for STS, instead of the one that the [features](crate#features) choose. It is never used for an
    /// agent, whose requests must not meet a proxy.
    ///
    /// Any client of the AWS SDK can be given, for example one that the program already has for its service clients. It is
    /// asked for one connector, with a connect timeout of 3.1 s, at the first request. `AWS_CA_BUNDLE` and the proxy variables
    /// are not applied to it; the limits of time and the limit of 64 KiB for an answer are.
    ///
    /// **It must not follow redirects**: the request carries the service account token, and a client that follows a 307
    /// sends it to another host. The SDK's own client follows none.
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// # use eks_credentials::testing::LocalPod;
    /// use aws_smithy_http_client::Builder;
    /// use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let http_client = Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc)).build_https();
    /// # let pod = LocalPod::start().await?;
    /// let provider = EksCredentialsProvider::builder()
    ///     .http_client(http_client)
    /// #   .env(pod.irsa_env())
    ///     .build()?;
    /// provider.warm_up().await?;
    /// # Ok(()) }
    /// ```
    pub fn http_client(mut self, client: impl HttpClient + 'static) -> Self {
        self.sts_client = Some(Ok(transport::from_http_client(client)));
        self
    }

    /// Like [`http_client`](Self::http_client), with a client of reqwest 0.13 that is built from these settings at once.
    /// Redirects are switched off and idle connections are not kept, whatever the settings say.
    ///
    /// The feature `reqwest_0_13` turns on none of reqwest's own features: TLS is what the program chooses for its reqwest.
    /// If reqwest cannot build the client, [`build`](Self::build) returns
    /// [`InvalidConfiguration`](crate::ErrorKind::InvalidConfiguration).
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// # use eks_credentials::testing::LocalPod;
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// let provider = EksCredentialsProvider::builder()
    ///     .reqwest_0_13(reqwest::Client::builder().connect_timeout(Duration::from_secs(3)))
    /// #   .env(pod.irsa_env())
    ///     .build()?;
    /// provider.warm_up().await?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "reqwest_0_13")]
    pub fn reqwest_0_13(mut self, client: reqwest::ClientBuilder) -> Self {
        self.sts_client = Some(transport::from_reqwest_0_13(client));
        self
    }
}
