//! The role session name, which appears in CloudTrail.

use crate::error::problem::setting::Setting;

/// The maximum length that STS accepts. The minimum is two characters.
const MAX: usize = 64;

/// A name of 2 to 64 characters from `[A-Za-z0-9_+=,.@-]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionName(String);

impl SessionName {
    /// Parses a configured name. An invalid name is refused and not changed, because people search CloudTrail for the name that
    /// they configured. `setting` is the setting or variable that contains it.
    pub(crate) fn parse(setting: &'static str, name: &str) -> Result<Self, Setting> {
        match (2..=MAX).contains(&name.len()) && name.chars().all(is_allowed) {
            true => Ok(Self(name.to_owned())),
            false => Err(Setting::SessionName { setting, value: name.to_owned() }),
        }
    }

    /// Derives a name from a pod's name. Characters that STS does not accept become hyphens. Only the last 64 characters are
    /// kept, because the end of a pod's name contains its unique part.
    pub(crate) fn of_pod(pod: &str) -> Self {
        let clean: Vec<char> = pod.chars().map(|c| if is_allowed(c) { c } else { '-' }).collect();
        let kept = clean.get(clean.len().saturating_sub(MAX)..).unwrap_or_default();
        let name = kept.iter().collect::<String>().trim_start_matches('-').to_owned();
        Self(if name.len() < 2 { "eks-credentials".to_owned() } else { name })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
}
