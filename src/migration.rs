//! Types for the migration from IRSA to EKS Pod Identity, or back.
//!
//! [`EksCredentialsProvider::compare`] requests credentials from both sources of a pod. It returns a [`Comparison`], which
//! contains one [`Probe`] for each source. `Display` of the comparison says that the pod is ready to cut over, or what differs.
//! [`Preference`] says what decides which source is used if a pod has both.
//!
//! ```
//! # use eks_credentials::EksCredentialsProvider;
//! # use eks_credentials::testing::LocalPod;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let pod = LocalPod::start().await?;
//! # let provider = EksCredentialsProvider::builder().env(pod.both_env()).build()?;
//! let comparison = provider.compare().await?;
//! println!("{comparison}");
//! assert!(comparison.is_ready());
//! # Ok(()) }
//! ```
//!
//! [`docs::migrating`](crate::docs::migrating) describes the steps of a migration.

mod comparison;
mod probe;

use std::sync::Arc;

pub use self::comparison::{Comparison, Difference};
pub use self::probe::{Caller, Granted, Probe};
use crate::error::Error;
use crate::provider::EksCredentialsProvider;
use crate::refresh::metrics;
pub use crate::source::detection::Preference;

impl EksCredentialsProvider {
    /// Requests credentials from both sources, and compares what they grant.
    ///
    /// Use it before a cut-over from one source to the other. It calls both sources once, one after the other, and discards the
    /// credentials. The current credentials do not change, and no caller of [`credentials`](Self::credentials) waits for it.
    ///
    /// Each request takes at most [`attempt_timeout`](crate::Builder::attempt_timeout). With the features `diagnose` and `irsa`,
    /// STS also gets one request `GetCallerIdentity` for each source, which takes at most 5 s. These requests are necessary to
    /// compare the roles, because the response of EKS Pod Identity does not name the role.
    ///
    /// One comparison sends up to four requests. Use it at start-up or in a command for operators, and not in a loop.
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// # use eks_credentials::testing::LocalPod;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.both_env()).build()?;
    /// let comparison = provider.compare().await?;
    /// for difference in comparison.differences() {
    ///     println!("{}: {} and {}", difference.what, difference.serving, difference.other);
    /// }
    /// # assert!(comparison.is_ready());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`NotConfigured`](crate::ErrorKind::NotConfigured) if no source is configured
    /// - [`InvalidConfiguration`](crate::ErrorKind::InvalidConfiguration) if only one source is configured, or if the configuration
    ///   of the other one is incomplete
    ///
    /// If a source *fails*, this is not an error of `compare`: the [`Comparison`] contains it.
    pub async fn compare(&self) -> Result<Comparison, Error> {
        let sources = Arc::clone(&self.configured()?.sources);
        let setup = self.setup().clone();
        let comparison = self.core().run(async move { Comparison::of(&sources, &setup).await }).await??;
        metrics::cut_over_ready(comparison.is_ready());
        Ok(comparison)
    }
}
