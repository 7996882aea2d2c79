//! Aurora DSQL.

use super::name::Host;
use super::request::{Form, Lifetime, Query, Request};
use super::{IamTokenGenerator, IamTokens};
use crate::error::Error;

impl IamTokens {
    /// Returns a generator of passwords for Aurora DSQL, for every database role except `admin`. A password is valid
    /// for at most 15 minutes.
    ///
    /// `host` is the endpoint of the cluster. The token does not contain the database role: the cluster maps the IAM role to
    /// the database roles that it may use (`AWS IAM GRANT`). For `admin`, use [`dsql_admin`](Self::dsql_admin).
    ///
    /// # Errors
    ///
    /// [`InvalidConfiguration`](crate::ErrorKind::InvalidConfiguration) if `host` is not a host name, or if the AWS region is
    /// missing or invalid.
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
    pub fn dsql(&self, host: &str) -> Result<IamTokenGenerator, Error> {
        self.dsql_for("the host given to dsql(..)", host, "DbConnect")
    }

    /// Returns a generator of passwords for the database role `admin` of Aurora DSQL. A password is valid for at most 15
    /// minutes.
    ///
    /// # Errors
    ///
    /// The same as those of [`dsql`](Self::dsql).
    ///
    /// # Examples
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).region("eu-central-1").build()?;
    /// let generator = provider.iam_tokens().dsql_admin("4eabcd.dsql.eu-central-1.on.aws")?;
    /// let password = generator.token().await?;
    /// # assert!(password.as_str().contains("Action=DbConnectAdmin&")); Ok(()) }
    /// ```
    pub fn dsql_admin(&self, host: &str) -> Result<IamTokenGenerator, Error> {
        self.dsql_for("the host given to dsql_admin(..)", host, "DbConnectAdmin")
    }

    fn dsql_for(&self, setting: &str, host: &str, action: &str) -> Result<IamTokenGenerator, Error> {
        let host = Host::parse(setting, host)?;
        self.generator(|_| Request {
            service: "dsql",
            authority: host.to_string(),
            query: Query::new("Action", action),
            header: None,
            lifetime: Lifetime::QUARTER,
            form: Form::Plain,
        })
    }
}
