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
    /// Before a cut-over from one method to the other: asks both of them, once each and one after the other, and compares
    /// whose credentials they grant. What is served is not touched: the answers are thrown away, and no caller of
    /// [`credentials`](Self::credentials) waits for them. Takes an attempt's time for each at most
    /// ([`attempt_timeout`](Builder::attempt_timeout)). With the features `diagnose` and `irsa` it also asks STS who they are
    /// (`GetCallerIdentity`, 5 s for each at most): only so the roles can be compared, since Pod Identity's answer does not
    /// name its own. Every call sends these two or four requests: it is for a check at start-up or an operator's command,
    /// not for a loop.
    ///
    /// # Errors
    ///
    /// If there is nothing to compare: [`NotConfigured`](crate::ErrorKind::NotConfigured),
    /// [`InvalidConfiguration`](crate::ErrorKind::InvalidConfiguration) if only one method is configured, or the other one
    /// by half. That a method *fails* is no error, but what [`Comparison`] says.
    pub async fn compare(&self) -> Result<Comparison, Error> {
        let sources = Arc::clone(&self.configured()?.sources);
        let setup = self.setup().clone();
        let comparison = self.core().run(async move { Comparison::of(&sources, &setup).await }).await??;
        metrics::cut_over_ready(comparison.is_ready());
        Ok(comparison)
    }
}
