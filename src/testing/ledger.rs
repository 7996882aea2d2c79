//! What the stand-ins have issued, so that a service stand-in can verify signatures, session tokens and expiry.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::clock;

/// One set of credentials that a stand-in handed out.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// The access key id.
    pub access_key_id: String,
    /// The secret key that belongs to it.
    pub secret_access_key: String,
    /// The session token that must come with every request signed with it.
    pub session_token: String,
    /// From when a service must refuse it.
    pub expiry: SystemTime,
}

impl Issued {
    /// New random credentials that expire `lifetime` from now. They are recognizable
    /// (`ASIALOCAL…`, `local-secret-…`, `local-session-…`) and good nowhere else.
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

/// Without the secrets.
impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("access_key_id", &self.access_key_id)
            .field("expiry", &clock::rfc3339(self.expiry))
            .finish_non_exhaustive()
    }
}

/// All credentials that a [`LocalPod`](super::LocalPod) has issued. Cloning is cheap and shares them.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<HashMap<String, Record>>>);

/// Credentials, and who they are.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) issued: Issued,
    /// `arn:aws:sts::111122223333:assumed-role/name/session`
    pub(super) arn: String,
}

impl Ledger {
    /// What was issued under this access key id, expired or not.
    pub fn get(&self, access_key_id: &str) -> Option<Issued> {
        self.record(access_key_id).map(|record| record.issued)
    }

    pub(super) fn record(&self, access_key_id: &str) -> Option<Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(access_key_id).cloned()
    }

    pub(super) fn note(&self, issued: &Issued, arn: String) {
        let mut ledger = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.insert(issued.access_key_id.clone(), Record { issued: issued.clone(), arn });
    }
}

/// The ARN of a session of the role.
pub(super) fn assumed_role_arn(role_arn: &str, session: &str) -> String {
    let mut parts = role_arn.split(':').skip(1);
    let partition = parts.next().unwrap_or_default();
    let account = parts.nth(2).unwrap_or_default();
    let role = role_arn.rsplit('/').next().unwrap_or_default();
    format!("arn:{partition}:sts::{account}:assumed-role/{role}/{session}")
}
