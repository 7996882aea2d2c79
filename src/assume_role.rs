//! Role chaining: a provider for another role, which the pod's own credentials may assume.
//!
//! | file | duty |
//! |---|---|
//! | `role.rs` | the parameters that a user sets |
//! | `parameters.rs` | the parameters that STS accepts, and the form of the request |
//! | `exchange.rs` | one `AssumeRole` request with given credentials, and its response |
//! | `source.rs` | the credential source of the new provider: the credentials of its parent, and the exchange |

mod exchange;
mod parameters;
mod role;
mod source;

use std::sync::Arc;

use self::exchange::Exchange;
use self::parameters::Parameters;
pub use self::role::AssumeRole;
use self::source::AssumedRole;
use crate::error::Error;
use crate::provider::EksCredentialsProvider;
use crate::sts::Sts;

impl EksCredentialsProvider {
    /// Returns a provider for another role, for example in another account. STS `AssumeRole` is called with the credentials of
    /// this provider.
    ///
    /// The new provider has the same type and behaves in the same way: it refreshes its credentials ahead of expiry, serves
    /// them during an outage, and can be used wherever this one can. It can assume a further role.
    ///
    /// This provider is the *parent* of the new one, which holds a clone of it. Each of them has its own refresh task. The
    /// settings of the parent apply to both: environment, region, STS endpoint, HTTP client, time limits, refresh window,
    /// `serve_expired`, clock and runtime. The session name, session length and session policies of the
    /// [`Builder`](crate::Builder) apply only to IRSA.
    ///
    /// If the parent has no credentials, the new provider waits for them, for at most the time limit of an attempt, and calls STS
    /// only then. In an outage the parent may return [expired credentials](crate::Builder::serve_expired). If STS reports that
    /// the parent's credentials have expired, the parent fetches new ones and the request is repeated.
    ///
    /// - [`status`](Self::status) describes the credentials of the new role, and names it in
    ///   [`assumed_role`](crate::Status::assumed_role).
    /// - [`detection`](Self::detection) and [`compare`](Self::compare) describe the credential sources of the pod, as they do for
    ///   the parent.
    /// - `diagnose` (feature `diagnose`) first examines the pod, and then each role of the chain.
    ///
    /// A session from role chaining lasts at most one hour, whatever the maximum session duration of the role is
    /// ([AWS documentation][chaining]).
    ///
    /// [`docs::assuming_roles`](crate::docs::assuming_roles) describes the policies that are needed.
    ///
    /// [chaining]: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
    ///
    /// # Errors
    ///
    /// [`InvalidConfiguration`](crate::ErrorKind::InvalidConfiguration) if a parameter cannot work, or if there is no region for
    /// the STS endpoint. The request itself is sent at the first call for credentials.
    ///
    /// # Examples
    ///
    /// ```
    /// use eks_credentials::{AssumeRole, EksCredentialsProvider};
    /// # use eks_credentials::testing::{AssumableRole, LocalPod};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let role = AssumableRole::new("arn:aws:iam::444455556666:role/reports").external_id("example");
    /// # let pod = LocalPod::builder().assumable_role(role).start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// let reports = provider.assume_role(
    ///     AssumeRole::new("arn:aws:iam::444455556666:role/reports").external_id("example"),
    /// )?;
    /// let credentials = reports.credentials().await?;
    /// assert_eq!(credentials.account_id().map(|id| id.as_str()), Some("444455556666"));
    /// # Ok(()) }
    /// ```
    pub fn assume_role(&self, role: AssumeRole) -> Result<Self, Error> {
        let setup = self.setup();
        let sts =
            Sts::new(&setup.env, &setup.settings, setup.http.clone(), setup.timeouts.connect(source::ATTEMPT_TIMEOUT))?;
        let parameters = Parameters::parse(&role, &setup.env, &setup.settings, &sts.endpoint)?;
        let limit = setup.timeouts.attempt(source::ATTEMPT_TIMEOUT);
        let exchange = Arc::new(Exchange::new(parameters, sts, self.role_or_source(), limit));
        let source = Arc::new(AssumedRole::new(self.clone(), Arc::clone(&exchange)));
        Ok(self.followed_by(exchange, source))
    }
}
