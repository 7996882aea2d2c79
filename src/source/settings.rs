//! The builder's settings for the sources, unparsed. They are parsed where they are used.

use std::path::PathBuf;
use std::time::Duration;

use crate::source_kind::SourceKind;

#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) prefer: Option<SourceKind>,
    /// Whether the other source is used after a permanent denial. If it is configured, its configuration must then be valid.
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
    /// Whether a session policy restricts the permissions of the role.
    pub(crate) fn narrows_permissions(&self) -> bool {
        self.policy.is_some() || !self.policy_arns.is_empty()
    }
}
