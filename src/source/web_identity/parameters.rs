//! The optional parameters of `AssumeRoleWithWebIdentity`, from the builder. The limits are those of the STS API.

use std::time::Duration;

use super::session_name::SessionName;
use super::sts_endpoint;
use crate::error::problem::setting::Setting;
use crate::source::settings::IrsaSettings;

#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters {
    pub(crate) session_name: Option<SessionName>,
    /// `DurationSeconds`.
    pub(crate) session_length: Option<Duration>,
    pub(crate) policy: Option<String>,
    pub(crate) policy_arns: Vec<String>,
    pub(crate) provider_id: Option<String>,
}

impl Parameters {
    pub(crate) fn parse(settings: &IrsaSettings) -> Result<Self, Setting> {
        let IrsaSettings { session_name, session_length, policy, policy_arns, provider_id, sts_endpoint, .. } =
            settings;
        let session_name = session_name.as_deref().map(|name| SessionName::parse("the builder's session_name", name));
        let session_name = session_name.transpose()?;
        if let Some(url) = sts_endpoint {
            sts_endpoint::configured(url)?;
        }
        let is_allowed = |length: &Duration| (900..=43_200).contains(&length.as_secs()) && length.subsec_nanos() == 0;
        if let Some(length) = session_length.filter(|length| !is_allowed(length)) {
            let observed = format!("the builder's session_length is {length:?}");
            return Err(other(observed, "STS accepts whole seconds from 15 minutes to 12 hours"));
        }
        check_policies("the builder", policy.as_deref(), policy_arns)?;
        Ok(Self {
            session_name,
            session_length: *session_length,
            policy: policy.clone(),
            policy_arns: policy_arns.clone(),
            provider_id: provider_id.clone(),
        })
    }
}

/// Checks session policies. `whose` is where they were set.
pub(crate) fn check_policies(whose: &str, policy: Option<&str>, policy_arns: &[String]) -> Result<(), Setting> {
    if let Some(length) = policy.map(|policy| policy.chars().count()).filter(|&n| n == 0 || n > 2048) {
        return Err(other(format!("the policy of {whose} has {length} characters"), "STS accepts 1 to 2,048"));
    }
    if policy_arns.len() > 10 {
        let observed = format!("{whose} has {} policy ARNs", policy_arns.len());
        return Err(other(observed, "STS accepts at most 10"));
    }
    if let Some(arn) = policy_arns.iter().find(|arn| !arn.starts_with("arn:")) {
        let observed = format!("the policy ARN \"{arn}\" of {whose} is not an ARN");
        return Err(other(observed, "expected arn:aws:iam::…:policy/<name>"));
    }
    Ok(())
}

fn other(observed: String, remedy: &str) -> Setting {
    Setting::Other { observed, remedy: remedy.to_owned() }
}
