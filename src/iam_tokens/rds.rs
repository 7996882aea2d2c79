//! RDS and Aurora.

use super::name::{Host, User};
use super::request::{Form, Lifetime, Query, Request};
use super::{IamTokenGenerator, IamTokens};
use crate::error::Error;

impl IamTokens {
    /// Returns a generator of passwords for RDS and Aurora. A password is valid for at most 15 minutes.
    ///
    /// `host` and `port` are those of the endpoint of the instance, of the cluster or of the RDS Proxy, and `user` is the
    /// database user. The database checks the token only when a connection is opened. Use TLS: RDS requires it for IAM
    /// authentication.
    ///
    /// Pass the name of the endpoint itself, and not a CNAME record that points to it: the signature would not match.
    ///
    /// # Errors
    ///
    /// [`InvalidConfiguration`](crate::ErrorKind::InvalidConfiguration) if `host` is not a host name, if `user` is empty or
    /// contains NUL, or if the AWS region is missing or invalid.
    ///
    /// # Examples
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).region("eu-central-1").build()?;
    /// let generator = provider.iam_tokens().rds("orders.c9akciq32.eu-central-1.rds.amazonaws.com", 5432, "app")?;
    /// let password = generator.token().await?;
    /// # assert!(password.as_str().contains(":5432/?Action=connect&DBUser=app&")); Ok(()) }
    /// ```
    pub fn rds(&self, host: &str, port: u16, user: &str) -> Result<IamTokenGenerator, Error> {
        let host = Host::parse("the host given to rds(..)", host)?;
        let user = User::parse("the user given to rds(..)", user)?;
        self.generator(|_| Request {
            service: "rds-db",
            authority: format!("{host}:{port}"),
            query: Query::new("Action", "connect").and("DBUser", user.as_str()),
            header: None,
            lifetime: Lifetime::QUARTER,
            form: Form::Plain,
        })
    }
}
