//! MemoryDB.

use super::name::{Host, User};
use super::request::Request;
use super::{IamTokenGenerator, IamTokens};
use crate::error::Error;

impl IamTokens {
    /// Returns a generator of passwords for a cluster of MemoryDB. A password is valid for at most 15 minutes.
    ///
    /// `cluster` is the name of the cluster, and not its endpoint. `user` is the name of the MemoryDB user.
    ///
    /// MemoryDB closes a connection 12 hours after its last `AUTH` or `HELLO` with a token.
    ///
    /// # Errors
    ///
    /// [`InvalidConfiguration`](crate::ErrorKind::InvalidConfiguration) if `cluster` contains other characters than letters,
    /// digits and hyphens, if `user` is empty or contains NUL, or if the AWS region is missing or invalid.
    ///
    /// # Examples
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).region("eu-central-1").build()?;
    /// let generator = provider.iam_tokens().memorydb("ledger", "app")?;
    /// let password = generator.token().await?;
    /// # assert!(password.as_str().starts_with("ledger/?Action=connect&User=app&")); Ok(()) }
    /// ```
    pub fn memorydb(&self, cluster: &str, user: &str) -> Result<IamTokenGenerator, Error> {
        let cluster = Host::of_cache("the cluster given to memorydb(..)", cluster)?;
        let user = User::parse("the user given to memorydb(..)", user)?;
        self.generator(|_| Request::connect_to_cache("memorydb", &cluster, &user))
    }
}
