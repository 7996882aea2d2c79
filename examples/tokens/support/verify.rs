//! What a server does with an IAM token: it verifies the signature, the time and the session. This does not use the crate that
//! signs the tokens.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use eks_credentials::testing::Ledger;

/// Verifies tokens for one service, and remembers who connected.
#[derive(Clone)]
pub struct Verifier {
    ledger: Ledger,
    service: &'static str,
    /// The beginning of a correct token, up to the parameters of the signature.
    begins: String,
    accepted: Arc<Mutex<Vec<String>>>,
}

impl Verifier {
    pub fn new(ledger: &Ledger, service: &'static str, begins: impl Into<String>) -> Self {
        Self { ledger: ledger.clone(), service, begins: begins.into(), accepted: Arc::default() }
    }

    /// The access key IDs of the tokens that were accepted, in order.
    pub fn accepted(&self) -> Vec<String> {
        self.accepted.lock().expect("no holder panics").clone()
    }

    /// Returns why the token is refused.
    pub fn verify(&self, token: &str) -> Result<(), String> {
        let access_key = self.access_key(token)?;
        self.accepted.lock().expect("no holder panics").push(access_key);
        Ok(())
    }

    fn access_key(&self, token: &str) -> Result<String, String> {
        if !token.starts_with(&self.begins) {
            return Err("the token is for another host, user or service".to_owned());
        }
        let (host, query) = token.split_once("/?").ok_or("not a presigned URL")?;
        let param = |name: &str| {
            let found = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned()).ok_or(format!("the token has no {name}"))
        };
        let (credential, date, seconds) = (param("X-Amz-Credential")?, param("X-Amz-Date")?, param("X-Amz-Expires")?);
        let (access_key, scope) = credential.split_once('/').ok_or("no scope")?;
        let issued = self.ledger.get(access_key).ok_or("unknown access key")?;
        if param("X-Amz-Security-Token")? != issued.session_token {
            return Err("another session token".to_owned());
        }
        if scope != format!("{}/eu-central-1/{}/aws4_request", date.get(..8).unwrap_or_default(), self.service) {
            return Err("a signature for another service or region".to_owned());
        }
        let signature = signature(host, query, &date, scope, &issued.secret_access_key);
        if param("X-Amz-Signature")? != signature {
            return Err("the signature does not match".to_owned());
        }
        // The stand-in for the agent issues credentials from the clock of this machine too, so the date is not parsed: the
        // token must not claim to outlive its credentials.
        let lifetime = Duration::from_secs(seconds.parse().map_err(|_| "X-Amz-Expires is not a number")?);
        let now = SystemTime::now();
        if issued.expiry <= now {
            return Err("the credentials of the token have expired".to_owned());
        }
        if now + lifetime > issued.expiry + Duration::from_secs(60) {
            return Err("the token claims to outlive its credentials".to_owned());
        }
        Ok(access_key.to_owned())
    }
}

fn signature(host: &str, query: &str, date: &str, scope: &str, secret: &str) -> String {
    let mut params: Vec<&str> = query.split('&').filter(|param| !param.starts_with("X-Amz-Signature=")).collect();
    params.sort_unstable();
    let nothing = hex(digest(&SHA256, b"").as_ref());
    let canonical = format!("GET\n/\n{}\nhost:{host}\n\nhost\n{nothing}", params.join("&"));
    let canonical = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{canonical}");
    let mac = |key: &[u8], data: &str| sign(&Key::new(HMAC_SHA256, key), data.as_bytes()).as_ref().to_vec();
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    hex(&mac(&key, &to_sign))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
