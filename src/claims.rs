//! The claims of a service account token. This module does not verify the token.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::clock;

/// The longest text of a claim that is shown. A token file can contain anything.
pub(crate) const MAX_SHOWN: usize = 300;

/// The claims that can explain a denial.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    pub(crate) iss: Option<String>,
    pub(crate) sub: Option<String>,
    /// The audiences. A very long list is cut.
    pub(crate) aud: Vec<String>,
    pub(crate) exp: Option<u64>,
    pub(crate) iat: Option<u64>,
    pub(crate) nbf: Option<u64>,
    /// `{namespace}-{pod}`, if the token is bound to a pod.
    pub(crate) pod: Option<String>,
}

impl Claims {
    /// Returns `None` if `json` is not the payload of a token: it is not an object, or a claim has the wrong type.
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        let claims: Map<String, Value> = serde_json::from_slice(json).ok()?;
        Some(Self {
            iss: text(&claims, "iss")?,
            sub: text(&claims, "sub")?,
            aud: audiences(&claims)?,
            exp: seconds(&claims, "exp")?,
            iat: seconds(&claims, "iat")?,
            nbf: seconds(&claims, "nbf")?,
            pod: pod(&claims),
        })
    }
}

/// Returns `Some(None)` if the claim is absent, and `None` if it is not a string.
fn text(claims: &Map<String, Value>, name: &str) -> Option<Option<String>> {
    match claims.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(value) => value.as_str().map(|text| Some(text.to_owned())),
    }
}

/// Returns `Some(None)` if the claim is absent, and `None` if it is not a number of seconds.
fn seconds(claims: &Map<String, Value>, name: &str) -> Option<Option<u64>> {
    match claims.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(value) => value.as_u64().map(Some),
    }
}

/// Kubernetes writes a list of audiences. RFC 7519, section 4.1.3, also allows a single string.
fn audiences(claims: &Map<String, Value>) -> Option<Vec<String>> {
    match claims.get("aud") {
        None => Some(Vec::new()),
        Some(Value::String(one)) => Some(vec![one.clone()]),
        Some(Value::Array(list)) => {
            let mut audiences = Vec::new();
            let mut length = 0;
            for audience in list {
                let audience = audience.as_str()?;
                if length < MAX_SHOWN {
                    audiences.push(audience.to_owned());
                }
                length = audience.len().saturating_add(length).saturating_add(1);
            }
            Some(audiences)
        }
        Some(_) => None,
    }
}

fn pod(claims: &Map<String, Value>) -> Option<String> {
    let kubernetes = claims.get("kubernetes.io")?;
    let namespace = kubernetes.get("namespace")?.as_str()?;
    let pod = kubernetes.get("pod")?.get("name")?.as_str()?;
    Some(format!("{namespace}-{pod}"))
}

/// Formats the claims as `iss=… sub=… aud=… exp=…`, for comparing them with a trust policy.
impl fmt::Display for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |claim: &str| claim.chars().take(MAX_SHOWN).collect::<String>();
        let or_none = |claim: &Option<String>| cut(claim.as_deref().unwrap_or("none"));
        let aud = cut(&self.aud.join(","));
        let exp = self.exp.and_then(|exp| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(exp)));
        let exp = exp.map_or_else(|| "none".to_owned(), clock::rfc3339);
        write!(f, "iss={} sub={} aud={aud} exp={exp}", or_none(&self.iss), or_none(&self.sub))
    }
}
