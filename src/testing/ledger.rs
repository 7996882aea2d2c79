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
pub struct Ledger(Arc<Mutex<HashMap<String, Issued>>>);

impl Ledger {
    /// What was issued under this access key id, expired or not.
    pub fn get(&self, access_key_id: &str) -> Option<Issued> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(access_key_id).cloned()
    }

    pub(super) fn note(&self, issued: &Issued) {
        let mut ledger = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.insert(issued.access_key_id.clone(), issued.clone());
    }
}
