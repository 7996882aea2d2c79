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
    /// Requests credentials from both sources and compares their identities, before a cut-over from one to the other.
    ///
    /// The sources are called once each, one after the other. A call takes at most
    /// [`attempt_timeout`](crate::Builder::attempt_timeout). The credentials are then dropped: the current credentials and
    /// the callers of [`credentials`](Self::credentials) are not affected.
    ///
    /// With the features `diagnose` and `irsa`, this also calls `GetCallerIdentity` of STS for each source, with a limit of 5 s.
    /// The response of Pod Identity does not name the role, so roles can be compared only with this call.
    ///
    /// Every comparison sends these two or four requests. Use it for a check at the start of a program or in a command of an
    /// operator, not in a loop. With the feature `metrics`, it also sets the gauge `eks_credentials_cut_over_ready`.
    ///
    /// # Errors
    ///
    /// - [`NotConfigured`](crate::ErrorKind::NotConfigured) if no source is configured.
    /// - [`InvalidConfiguration`](crate::ErrorKind::InvalidConfiguration) if only one source is configured, or if the
    ///   configuration of the other one is incomplete or invalid.
    ///
    /// A source that *fails* is not an error: its error is in the [`Comparison`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.both_env()).build()?;
    /// let comparison = provider.compare().await?;
    /// println!("{comparison}");
    /// assert!(comparison.is_ready());
    /// # Ok(()) }
    /// ```
    pub async fn compare(&self) -> Result<Comparison, Error> {
        let sources = Arc::clone(&self.configured()?.sources);
        let setup = self.setup().clone();
        let comparison = self.core().run(async move { Comparison::of(&sources, &setup).await }).await??;
        metrics::cut_over_ready(comparison.is_ready());
        Ok(comparison)
    }
}
