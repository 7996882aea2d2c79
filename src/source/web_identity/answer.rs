//! What STS answers, as XML.

use serde::Deserialize;
use zeroize::Zeroizing;

#[derive(Deserialize)]
pub(super) struct Success {
    #[serde(rename = "AssumeRoleWithWebIdentityResult")]
    pub(super) result: Answer,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer {
    pub(super) credentials: AnsweredKeys,
    pub(super) assumed_role_user: Option<AssumedRoleUser>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AnsweredKeys {
    pub(super) access_key_id: Zeroizing<String>,
    pub(super) secret_access_key: Zeroizing<String>,
    pub(super) session_token: Zeroizing<String>,
    pub(super) expiration: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AssumedRoleUser {
    pub(super) arn: String,
}

/// An error of any action of STS.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    error: Refusal,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Refusal {
    pub(crate) code: Zeroizing<String>,
    /// May quote the token.
    #[serde(default)]
    pub(crate) message: Zeroizing<String>,
}

impl Refusal {
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let failure: Failure = quick_xml::de::from_str(std::str::from_utf8(body).ok()?).ok()?;
        Some(failure.error)
    }
}
