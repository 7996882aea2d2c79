//! What the builder says instead of the environment, as it was given. It is parsed where it is used.

use std::path::PathBuf;
use std::time::Duration;

use crate::source_kind::SourceKind;

#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) prefer: Option<SourceKind>,
    /// Whether the other source is used after a permanent denial. Then it must be completely configured too.
    pub(crate) fallback: bool,
    pub(crate) region: Option<String>,
    pub(crate) irsa: IrsaSettings,
}

/// The parameters of `AssumeRoleWithWebIdentity`.
#[derive(Clone, Debug, Default)]
pub(crate) struct IrsaSettings {
    pub(crate) role_arn: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) session_name: Option<String>,
    pub(crate) session_length: Option<Duration>,
    pub(crate) policy: Option<String>,
    pub(crate) policy_arns: Vec<String>,
    pub(crate) provider_id: Option<String>,
    pub(crate) sts_endpoint: Option<String>,
}

impl IrsaSettings {
    /// Whether a session policy narrows what the role may do.
    pub(crate) fn narrows_permissions(&self) -> bool {
        self.policy.is_some() || !self.policy_arns.is_empty()
    }
}
