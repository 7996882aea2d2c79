//! ElastiCache for Valkey and Redis OSS.

use super::name::{Host, User};
use super::request::{Form, Lifetime, Query, Request};
use super::{IamTokenGenerator, IamTokens};
use crate::error::Error;

impl IamTokens {
    /// Returns a generator of passwords for a replication group of ElastiCache. A password is valid for at most 15 minutes.
    ///
    /// `replication_group` is its id, and not its endpoint. `user` is the id of the ElastiCache user, which must equal its user
    /// name. For a serverless cache, use [`elasticache_serverless`](Self::elasticache_serverless).
    ///
    /// ElastiCache closes a connection 12 hours after its last `AUTH` or `HELLO` with a token.
    ///
    /// # Errors
    ///
    /// [`InvalidConfiguration`](crate::ErrorKind::InvalidConfiguration) if `replication_group` contains other characters than
    /// letters, digits and hyphens, if `user` is empty or contains NUL, or if the AWS region is missing or invalid.
    ///
    /// # Examples
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).region("eu-central-1").build()?;
    /// let generator = provider.iam_tokens().elasticache("sessions", "app")?;
    /// let password = generator.token().await?;
    /// # assert!(password.as_str().starts_with("sessions/?Action=connect&User=app&X-Amz")); Ok(()) }
    /// ```
    pub fn elasticache(&self, replication_group: &str, user: &str) -> Result<IamTokenGenerator, Error> {
        let cache = Host::of_cache("the replication group given to elasticache(..)", replication_group)?;
        let user = User::parse("the user given to elasticache(..)", user)?;
        self.generator(|_| Request::connect_to_cache("elasticache", &cache, &user))
    }

    /// Returns a generator of passwords for a serverless cache of ElastiCache. A password is valid for at most 15 minutes.
    ///
    /// `cache` is the name of the cache, and not its endpoint. Otherwise the same as [`elasticache`](Self::elasticache).
    ///
    /// # Errors
    ///
    /// The same as those of [`elasticache`](Self::elasticache).
    ///
    /// # Examples
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).region("eu-central-1").build()?;
    /// let generator = provider.iam_tokens().elasticache_serverless("sessions", "app")?;
    /// let password = generator.token().await?;
    /// # assert!(password.as_str().contains("&ResourceType=ServerlessCache&")); Ok(()) }
    /// ```
    pub fn elasticache_serverless(&self, cache: &str, user: &str) -> Result<IamTokenGenerator, Error> {
        let cache = Host::of_cache("the cache given to elasticache_serverless(..)", cache)?;
        let user = User::parse("the user given to elasticache_serverless(..)", user)?;
        self.generator(|_| {
            let request = Request::connect_to_cache("elasticache", &cache, &user);
            Request { query: request.query.and("ResourceType", "ServerlessCache"), ..request }
        })
    }
}

impl Request {
    /// The request of ElastiCache and of MemoryDB. The name of the cache takes the place of the host.
    pub(super) fn connect_to_cache(service: &'static str, cache: &Host, user: &User) -> Self {
        Self {
            service,
            authority: cache.to_string(),
            query: Query::new("Action", "connect").and("User", user.as_str()),
            header: None,
            lifetime: Lifetime::QUARTER,
            form: Form::Plain,
        }
    }
}
