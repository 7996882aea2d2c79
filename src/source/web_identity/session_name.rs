//! The role session name, which CloudTrail shows.

use crate::error::problem::setting::Setting;

/// The longest name that STS accepts. The shortest has two characters.
const MAX: usize = 64;

/// 2 to 64 characters of `[A-Za-z0-9_+=,.@-]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionName(String);

impl SessionName {
    /// A configured name is refused if it is not valid, and never changed: somebody will search for it. `setting` is where it
    /// was configured.
    pub(crate) fn parse(setting: &'static str, name: &str) -> Result<Self, Setting> {
        match (2..=MAX).contains(&name.len()) && name.chars().all(is_allowed) {
            true => Ok(Self(name.to_owned())),
            false => Err(Setting::SessionName { setting, value: name.to_owned() }),
        }
    }

    /// The name for a pod: other characters are replaced by hyphens, and only the last 64 are kept, because a pod's name ends
    /// with its random part.
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
