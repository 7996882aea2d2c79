//! The Kubernetes API servers of EKS.

use super::name::Cluster;
use super::request::{Form, Lifetime, Query, Request};
use super::{IamTokenGenerator, IamTokens};
use crate::env::partition::Partition;
use crate::error::Error;

/// The header that binds a token to one cluster.
const CLUSTER_HEADER: &str = "x-k8s-aws-id";

impl IamTokens {
    /// Returns a generator of bearer tokens for the Kubernetes API server of an EKS cluster. A token is valid for at most 14
    /// minutes. The tokens have the same format as those of `aws eks get-token`.
    ///
    /// `cluster` is the name of the cluster, or the id of a local cluster on AWS Outposts. Inside a cluster, the API server of
    /// that same cluster accepts the service account token of the pod, which needs no IAM. These tokens are for other clusters.
    ///
    /// The token contains a presigned `GetCallerIdentity` for the regional STS endpoint. EKS sends this
    /// request. Creating a token causes no request to STS. EKS accepts a token for 15 minutes. As in `aws eks get-token`,
    /// [`expires_at`](super::IamToken::expires_at) is one minute earlier, and `X-Amz-Expires` in the URL is 60 seconds, or
    /// less if the credentials expire within a minute. EKS ignores it.
    ///
    /// # Errors
    ///
    /// [`InvalidConfiguration`](crate::ErrorKind::InvalidConfiguration) if `cluster` contains other characters than letters,
    /// digits, hyphens and underscores, or if the AWS region is missing or invalid.
    ///
    /// # Examples
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).region("eu-central-1").build()?;
    /// let generator = provider.iam_tokens().eks("my-cluster")?;
    /// let authorization = format!("Bearer {}", generator.token().await?.as_str());
    /// # assert!(authorization.starts_with("Bearer k8s-aws-v1.aHR0cHM6Ly9zdHMu")); Ok(()) }
    /// ```
    pub fn eks(&self, cluster: &str) -> Result<IamTokenGenerator, Error> {
        let cluster = Cluster::parse("the cluster given to eks(..)", cluster)?;
        self.generator(|region| Request {
            service: "sts",
            authority: format!("sts.{region}.{}", Partition::of(region).suffix),
            query: Query::new("Action", "GetCallerIdentity").and("Version", "2011-06-15"),
            header: Some((CLUSTER_HEADER, cluster.into_string())),
            lifetime: Lifetime::EKS,
            form: Form::Base64 { prefix: "k8s-aws-v1.", suffix: "" },
        })
    }
}
