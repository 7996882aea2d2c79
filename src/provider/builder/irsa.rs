//! The settings of IRSA.

use std::path::PathBuf;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::HttpClient;

use super::Builder;
use crate::transport;

impl Builder {
    /// Sets the ARN of the role to assume. Default: `AWS_ROLE_ARN`.
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// let builder = EksCredentialsProvider::builder().role_arn("arn:aws:iam::111122223333:role/app");
    /// ```
    pub fn role_arn(mut self, role_arn: impl Into<String>) -> Self {
        self.settings.irsa.role_arn = Some(role_arn.into());
        self
    }

    /// Sets the path of the service account token. Default: `AWS_WEB_IDENTITY_TOKEN_FILE`.
    ///
    /// The file is read for every attempt, because kubelet replaces the token while the process runs.
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// let builder = EksCredentialsProvider::builder().token_file("/var/run/secrets/sts/token");
    /// ```
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.irsa.token_file = Some(path.into());
        self
    }

    /// Sets the role session name, which CloudTrail shows. It must have 2 to 64 characters, all of them from
    /// `[A-Za-z0-9_+=,.@-]`.
    ///
    /// The default is the first of these that exists:
    ///
    /// 1. `AWS_ROLE_SESSION_NAME`.
    /// 2. `{namespace}-{pod}`, from the token.
    /// 3. The host name, from `HOSTNAME`.
    /// 4. `eks-credentials`.
    ///
    /// In a name from the token or the host name, each character that is not allowed becomes a hyphen, and only the last 64
    /// characters are used. The name stays the same for the life of the provider.
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// let builder = EksCredentialsProvider::builder().session_name("orders-service");
    /// # builder.build().unwrap();
    /// ```
    pub fn session_name(mut self, name: impl Into<String>) -> Self {
        self.settings.irsa.session_name = Some(name.into());
        self
    }

    /// Sets the length of a session, which is the lifetime of its credentials. Default: one hour, the default of STS.
    ///
    /// STS calls this parameter `DurationSeconds`. It must be a number of whole seconds from 15 minutes to 12 hours, and must
    /// not exceed the maximum session duration of the role.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use eks_credentials::EksCredentialsProvider;
    /// let builder = EksCredentialsProvider::builder().session_length(Duration::from_secs(2 * 3600));
    /// # builder.build().unwrap();
    /// ```
    pub fn session_length(mut self, length: Duration) -> Self {
        self.settings.irsa.session_length = Some(length);
        self
    }

    /// Sets an inline session policy, which restricts the permissions of the role.
    ///
    /// The policy is JSON with at most 2,048 characters.
    ///
    /// EKS Pod Identity does not support session policies in a request. [`build`](Self::build) therefore returns an error if the
    /// pod uses EKS Pod Identity, even if only as a fallback.
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;
    /// let builder = EksCredentialsProvider::builder().policy(policy);
    /// # builder.build().unwrap();
    /// ```
    pub fn policy(mut self, policy: impl Into<String>) -> Self {
        self.settings.irsa.policy = Some(policy.into());
        self
    }

    /// Sets managed session policies by their ARNs. They restrict the permissions of the role.
    ///
    /// At most 10 ARNs are allowed. A second call replaces the ARNs of the first call. With EKS Pod Identity,
    /// [`build`](Self::build) returns an error, as for [`policy`](Self::policy).
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// let builder = EksCredentialsProvider::builder().policy_arns(["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]);
    /// # builder.build().unwrap();
    /// ```
    pub fn policy_arns(mut self, arns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.settings.irsa.policy_arns = arns.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the `ProviderId` of the request. Default: not sent.
    ///
    /// Do not set it for a Kubernetes token. The parameter is only for OAuth 2.0 identity providers, and [must be absent for
    /// OpenID Connect](https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html).
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// let builder = EksCredentialsProvider::builder().provider_id("www.amazon.com");
    /// # builder.build().unwrap();
    /// ```
    pub fn provider_id(mut self, provider_id: impl Into<String>) -> Self {
        self.settings.irsa.provider_id = Some(provider_id.into());
        self
    }

    /// Sets the URL of STS.
    ///
    /// The default is the first of these that is configured:
    ///
    /// 1. `AWS_ENDPOINT_URL_STS`.
    /// 2. `AWS_ENDPOINT_URL`.
    /// 3. The endpoint of the region. `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT` select its variant.
    ///
    /// If `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` is `true`, the first two variables are ignored.
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// let builder = EksCredentialsProvider::builder()
    ///     .sts_endpoint("https://vpce-0a1b2c3d-example.sts.eu-central-1.vpce.amazonaws.com");
    /// # builder.build().unwrap();
    /// ```
    pub fn sts_endpoint(mut self, url: impl Into<String>) -> Self {
        self.settings.irsa.sts_endpoint = Some(url.into());
        self
    }

    /// Sets the HTTP client for STS. Default: the client of the enabled [features](crate#features).
    ///
    /// This method accepts every HTTP client of the AWS SDK, for example a [`SharedHttpClient`](crate::SharedHttpClient) that
    /// the program already uses for its service clients. The client is used only for STS. Requests to an agent never use it,
    /// because they must not be sent through a proxy.
    ///
    /// The time limit of each attempt and the limit of 64 KiB for a response apply to the client. `AWS_CA_BUNDLE`, the proxy
    /// variables and [`connect_timeout`](Self::connect_timeout) do not apply. The first request creates one connector from the
    /// client, with a connect timeout of 3.1 s.
    ///
    /// **The client must not follow redirects.** The request contains the service account token, and a client that follows a
    /// 307 response sends the token to another host. The clients of the AWS SDK do not follow redirects.
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

    /// Sets a client of reqwest 0.13 as the HTTP client for STS. The reqwest client is built from `client` when this method is
    /// called.
    ///
    /// As with [`http_client`](Self::http_client), the client is used only for STS, and the limits of this crate for the time
    /// of an attempt and the size of a response apply. Redirects are always switched off, and idle connections are never kept.
    ///
    /// The feature `reqwest_0_13` enables no feature of reqwest. The program chooses the TLS implementation through the
    /// features of reqwest that it enables. If reqwest cannot build the client, [`build`](Self::build) returns
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
