//! The token issuer of the cluster: it signs service account tokens, and verifies them for the stand-ins.

use std::fmt;
use std::io;

use serde::Deserialize;
use serde_json::Value;

use super::jws::Signing;

/// The pod and the service account in the claims of a token.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) namespace: String,
    pub(super) service_account: String,
    pub(super) pod: String,
}

/// The token issuer of a cluster.
#[derive(Clone)]
pub(super) struct Issuer {
    pub(super) url: String,
    signing: Signing,
}

/// The claims that the stand-ins check.
#[derive(Deserialize)]
pub(super) struct VerifiedClaims {
    iss: String,
    pub(super) aud: Vec<String>,
    pub(super) exp: u64,
    pub(super) nbf: u64,
    pub(super) sub: String,
    #[serde(rename = "kubernetes.io")]
    pub(super) kubernetes: Option<Kubernetes>,
}

#[derive(Deserialize)]
pub(super) struct Kubernetes {
    pub(super) pod: Pod,
}

#[derive(Default, Deserialize)]
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) uid: String,
}

impl Issuer {
    pub(super) fn new(url: String, signing: Signing) -> Self {
        Self { url, signing }
    }

    pub(super) fn sign(&self, claims: &Value) -> io::Result<String> {
        self.signing.sign(claims.to_string().as_bytes())
    }

    /// Returns the claims if this issuer signed the token and `iss` is its URL. Does not check times and audience: the services
    /// do this in different ways.
    pub(super) fn verify(&self, token: &str) -> Option<VerifiedClaims> {
        let claims: VerifiedClaims = serde_json::from_slice(&self.signing.verify(token)?).ok()?;
        (claims.iss == self.url).then_some(claims)
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("url", &self.url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const URL: &str = "https://oidc.eks.eu-central-1.amazonaws.com/id/LOCAL";

    fn claims(iss: Option<&str>) -> Value {
        let mut claims = json!({ "aud": ["sts"], "exp": 2, "nbf": 1, "sub": "me" });
        if let Some(iss) = iss {
            claims["iss"] = iss.into();
        }
        claims
    }

    #[test]
    fn issuer_verifies_its_own_tokens() {
        for signing in [Signing::Rs256, Signing::Es256] {
            let issuer = Issuer::new(URL.to_owned(), signing);
            let verified = issuer.verify(&issuer.sign(&claims(Some(URL))).unwrap()).unwrap();
            assert_eq!((verified.aud, verified.exp, verified.nbf), (vec!["sts".to_owned()], 2, 1));
            assert_eq!((verified.sub.as_str(), verified.kubernetes.is_none()), ("me", true));
        }
    }

    /// All issuers of the process use the same keys, so only the claim `iss` distinguishes them.
    #[test]
    fn issuer_rejects_another_issuer_or_a_missing_one() {
        for signing in [Signing::Rs256, Signing::Es256] {
            let issuer = Issuer::new(URL.to_owned(), signing);
            for iss in [Some("https://oidc.example.com/cluster"), Some(""), None] {
                assert!(issuer.verify(&issuer.sign(&claims(iss)).unwrap()).is_none(), "{iss:?}");
            }
        }
    }

    #[test]
    fn issuer_rejects_signed_claims_that_are_incomplete() {
        let issuer = Issuer::new(URL.to_owned(), Signing::Es256);
        for claims in
            [json!({ "iss": URL }), json!([URL]), json!({ "iss": [URL], "aud": [], "exp": 2, "nbf": 1, "sub": "" })]
        {
            assert!(issuer.verify(&issuer.sign(&claims).unwrap()).is_none(), "{claims}");
        }
    }
}
