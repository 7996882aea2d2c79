//! The credentials that the stand-ins have issued. A stand-in for a service uses them to verify requests.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::clock;

/// Credentials that a stand-in has issued, including the secrets. The `Debug` output contains no secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// The access key ID.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
    /// The session token. Every request that is signed with these credentials must contain it.
    pub session_token: String,
    /// The time from which a service must refuse these credentials.
    pub expiry: SystemTime,
}

impl Issued {
    /// Returns new random credentials that expire after `lifetime`.
    ///
    /// They begin with `ASIALOCAL`, `local-secret-` and `local-session-`, so they can be found in logs. AWS does not accept
    /// them.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use eks_credentials::testing::Issued;
    ///
    /// let issued = Issued::random(Duration::from_secs(900));
    /// assert!(issued.access_key_id.starts_with("ASIALOCAL"));
    /// ```
    pub fn random(lifetime: Duration) -> Self {
        let text = |length: usize| std::iter::repeat_with(fastrand::alphanumeric).take(length).collect::<String>();
        Self {
            access_key_id: format!("ASIALOCAL{}", text(11).to_ascii_uppercase()),
            secret_access_key: format!("local-secret-{}", text(27)),
            session_token: format!("local-session-{}", text(80)),
            expiry: clock::system_now() + lifetime,
        }
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("access_key_id", &self.access_key_id)
            .field("expiry", &clock::rfc3339(self.expiry))
            .finish_non_exhaustive()
    }
}

/// The credentials that a [`LocalPod`](super::LocalPod) has issued, by access key ID.
///
/// [`LocalPod::ledger`](super::LocalPod::ledger) returns it. All clones share the same data, and cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<HashMap<String, Record>>>);

/// Credentials and the ARN of their session.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) issued: Issued,
    /// `arn:aws:sts::111122223333:assumed-role/name/session`
    pub(super) arn: String,
}

impl Ledger {
    /// Returns the credentials that were issued with this access key ID, even if they have expired. `None`: there are no such
    /// credentials.
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// assert!(pod.ledger().get("ASIALOCALUNKNOWN").is_none());
    /// # Ok(()) }
    /// ```
    pub fn get(&self, access_key_id: &str) -> Option<Issued> {
        self.record(access_key_id).map(|record| record.issued)
    }

    pub(super) fn record(&self, access_key_id: &str) -> Option<Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(access_key_id).cloned()
    }

    pub(super) fn insert(&self, issued: &Issued, arn: String) {
        let mut ledger = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.insert(issued.access_key_id.clone(), Record { issued: issued.clone(), arn });
    }
}

/// The ARN of a session of the role. It contains the name of the role without its path.
pub(super) fn assumed_role_arn(role_arn: &str, session: &str) -> String {
    let mut parts = role_arn.split(':').skip(1);
    let partition = parts.next().unwrap_or_default();
    let account = parts.nth(2).unwrap_or_default();
    let role = role_arn.rsplit('/').next().unwrap_or_default();
    format!("arn:{partition}:sts::{account}:assumed-role/{role}/{session}")
}
