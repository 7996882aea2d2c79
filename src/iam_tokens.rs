//! IAM tokens: presigned requests that replace a password at databases, caches, Kafka brokers and Kubernetes API servers.
//!
//! | file | contents |
//! |---|---|
//! | `rds.rs`, `dsql.rs`, `elasticache.rs`, `memorydb.rs`, `msk.rs`, `eks.rs` | what the token of each service is made of |
//! | `name.rs` | the names that callers pass, validated |
//! | `request.rs` | a request of any of the services: its parts, its lifetime, and the form of its token |
//! | `presign.rs`, `signed.rs` | the signature, and the expiry of the token |
//! | `generator.rs` | the choice of the credentials |
//! | `token.rs` | the token and its expiry |

mod dsql;
mod eks;
mod elasticache;
mod generator;
mod memorydb;
mod msk;
mod name;
mod presign;
mod rds;
mod request;
mod signed;
mod token;

pub use self::generator::IamTokenGenerator;
use self::request::Request;
pub use self::token::IamToken;
use crate::env::region::{self, Region};
use crate::error::Error;
use crate::error::problem::setting::Setting;
use crate::provider::EksCredentialsProvider;

const REGION: &str = "the region given to iam_tokens()";

/// Creates generators of IAM tokens.
///
/// Returned by [`EksCredentialsProvider::iam_tokens`]. [`docs::iam_tokens`](crate::docs::iam_tokens) lists the lifetimes,
/// permissions and limits of each service.
#[derive(Clone, Debug)]
pub struct IamTokens {
    provider: EksCredentialsProvider,
    region: Option<String>,
}

impl EksCredentialsProvider {
    /// Returns a value that creates generators of IAM tokens: signed requests that serve as passwords for databases and caches,
    /// or as bearer tokens for Kafka brokers and Kubernetes API servers.
    ///
    /// This does no I/O. The tokens are signed locally, so a token that is not accepted is noticed only when it is used.
    ///
    /// The region is that of [`Builder::region`](crate::Builder::region), else `AWS_REGION`, else `AWS_DEFAULT_REGION`.
    /// [`IamTokens::region`] sets another one.
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).region("eu-central-1").build()?;
    /// let host = "orders.c9akciq32.eu-central-1.rds.amazonaws.com";
    /// let generator = provider.iam_tokens().rds(host, 5432, "app")?;
    /// let token = generator.token().await?;
    /// assert!(token.as_str().starts_with(host)); // the password of the user `app` for the next 15 minutes
    /// # Ok(()) }
    /// ```
    pub fn iam_tokens(&self) -> IamTokens {
        IamTokens { provider: self.clone(), region: None }
    }
}

impl IamTokens {
    /// Sets the region of the database, cache or cluster, if it is not the region of the pod. It is validated when a generator is
    /// created.
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// let generator = provider.iam_tokens().region("eu-west-1").msk()?;
    /// # drop(generator); Ok(()) }
    /// ```
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// The generator of the tokens that `request` describes for a region.
    fn generator(&self, request: impl FnOnce(&Region) -> Request) -> Result<IamTokenGenerator, Error> {
        let setup = self.provider.setup();
        let region = match &self.region {
            Some(region) => Some(Region::parse(REGION, region)?),
            None => region::region(&setup.env, setup.settings.region.as_deref())?,
        };
        let region = region.ok_or(Setting::NoRegion { needed_for: "the signature of an IAM token" })?;
        let request = request(&region);
        Ok(IamTokenGenerator::new(self.provider.clone(), region, request))
    }
}
