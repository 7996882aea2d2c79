//! The parameters of `AssumeRole` as STS accepts them, and the form of the request. The limits are those of the STS API.

use std::collections::HashSet;
use std::time::Duration;

use zeroize::Zeroizing;

use super::role::{AssumeRole, ExternalId, Tag};
use crate::env::{self, Env};
use crate::error::problem::setting::Setting;
use crate::source::settings::Settings;
use crate::source::web_identity::sts_endpoint::{self, StsEndpoint};
use crate::source::web_identity::{RoleArn, SessionName, check_policies, parse_role_arn};

/// A session from role chaining lasts at most this long:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining>.
const LONGEST_SESSION: u64 = 3600;
const SHORTEST_SESSION: u64 = 900;

#[derive(Debug)]
pub(super) struct Parameters {
    pub(super) role_arn: RoleArn,
    session_name: SessionName,
    external_id: Option<ExternalId>,
    /// `DurationSeconds`.
    pub(super) session_length: Option<Duration>,
    policy: Option<String>,
    policy_arns: Vec<String>,
    tags: Vec<Tag>,
    source_identity: Option<SessionName>,
}

impl Parameters {
    pub(super) fn parse(
        role: &AssumeRole,
        env: &Env,
        settings: &Settings,
        endpoint: &StsEndpoint,
    ) -> Result<Self, Setting> {
        let other_sts = sts_endpoint::is_configured(env, settings.irsa.sts_endpoint.as_deref())?;
        let role_arn = parse_role_arn("the role ARN of AssumeRole", &role.role_arn, other_sts, endpoint.region())?;
        check_session_length(role.session_length)?;
        check_policies("AssumeRole", role.policy.as_deref(), &role.policy_arns)?;
        check_external_id(role.external_id.as_ref().map(ExternalId::as_str))?;
        check_tags(&role.tags)?;
        Ok(Self {
            role_arn,
            session_name: session_name(role.session_name.as_deref(), env)?,
            external_id: role.external_id.clone(),
            session_length: role.session_length,
            policy: role.policy.clone(),
            policy_arns: role.policy_arns.clone(),
            tags: role.tags.clone(),
            source_identity: source_identity(role.source_identity.as_deref())?,
        })
    }

    /// The form of the request. It contains no secret, except that people may treat the external ID as one.
    pub(super) fn form(&self) -> Zeroizing<String> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", "AssumeRole")
            .append_pair("Version", "2011-06-15")
            .append_pair("RoleArn", self.role_arn.as_str())
            .append_pair("RoleSessionName", self.session_name.as_str());
        if let Some(session_length) = self.session_length {
            form.append_pair("DurationSeconds", &session_length.as_secs().to_string());
        }
        let optional = [
            ("ExternalId", self.external_id.as_ref().map(ExternalId::as_str)),
            ("Policy", self.policy.as_deref()),
            ("SourceIdentity", self.source_identity.as_ref().map(SessionName::as_str)),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        for (arn, n) in self.policy_arns.iter().zip(1_u32..) {
            form.append_pair(&format!("PolicyArns.member.{n}.arn"), arn);
        }
        for (Tag { key, value, .. }, n) in self.tags.iter().zip(1_u32..) {
            form.append_pair(&format!("Tags.member.{n}.Key"), key);
            form.append_pair(&format!("Tags.member.{n}.Value"), value);
        }
        for (tag, n) in self.tags.iter().filter(|tag| tag.transitive).zip(1_u32..) {
            form.append_pair(&format!("TransitiveTagKeys.member.{n}"), &tag.key);
        }
        Zeroizing::new(form.finish())
    }
}

fn other(observed: String, remedy: &str) -> Setting {
    Setting::Other { observed, remedy: remedy.to_owned() }
}

/// The name that the user set, or `AWS_ROLE_SESSION_NAME`, or a name derived from the pod's name.
fn session_name(configured: Option<&str>, env: &Env) -> Result<SessionName, Setting> {
    if let Some(name) = configured {
        return SessionName::parse("the session name of AssumeRole", name);
    }
    match env.get(env::ROLE_SESSION_NAME)? {
        Some(name) => SessionName::parse(env::ROLE_SESSION_NAME, name),
        None => Ok(SessionName::of_pod(env.get(env::HOSTNAME)?.unwrap_or_default())),
    }
}

/// A source identity has the same format as a session name. The prefix `aws:` is reserved.
fn source_identity(configured: Option<&str>) -> Result<Option<SessionName>, Setting> {
    const SETTING: &str = "the source identity of AssumeRole";
    if let Some(identity) = configured.filter(|identity| is_reserved(identity)) {
        return Err(other(format!("{SETTING} is \"{identity}\""), "the prefix \"aws:\" is reserved"));
    }
    configured.map(|identity| SessionName::parse(SETTING, identity)).transpose()
}

fn check_session_length(length: Option<Duration>) -> Result<(), Setting> {
    let is_allowed = |length: &Duration| {
        (SHORTEST_SESSION..=LONGEST_SESSION).contains(&length.as_secs()) && length.subsec_nanos() == 0
    };
    match length.filter(|length| !is_allowed(length)) {
        Some(length) => Err(other(
            format!("the session length of AssumeRole is {length:?}"),
            "STS accepts whole seconds from 15 minutes to 1 hour: a session from role chaining lasts at most one hour",
        )),
        None => Ok(()),
    }
}

/// The value is not shown, because people may treat it as a secret.
fn check_external_id(id: Option<&str>) -> Result<(), Setting> {
    let is_allowed = |id: &str| {
        (2..=1224).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c))
    };
    match id.filter(|id| !is_allowed(id)) {
        Some(id) => Err(other(
            format!("the external ID of AssumeRole has {} characters or an invalid one", id.chars().count()),
            "STS accepts 2 to 1,224 ASCII letters, digits and the characters _+=,.@:/-",
        )),
        None => Ok(()),
    }
}

fn check_tags(tags: &[Tag]) -> Result<(), Setting> {
    if tags.len() > 50 {
        return Err(other(format!("AssumeRole has {} session tags", tags.len()), "STS accepts at most 50"));
    }
    let is_allowed = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&text.chars().count())
            && text.chars().all(|c| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c))
    };
    let mut keys = HashSet::new();
    for Tag { key, value, .. } in tags {
        let problem = match () {
            () if is_reserved(key) => "the prefix \"aws:\" is reserved",
            () if !is_allowed(key, 1..=128) => "a key has 1 to 128 letters, digits, spaces and the characters _.:/=+-@",
            () if !is_allowed(value, 0..=256) => {
                "a value has at most 256 letters, digits, spaces and the characters _.:/=+-@"
            }
            () if !keys.insert(key.to_lowercase()) => "keys must differ in more than upper and lower case",
            () => continue,
        };
        return Err(other(format!("the session tag \"{key}\" of AssumeRole has the value \"{value}\""), problem));
    }
    Ok(())
}

fn is_reserved(name: &str) -> bool {
    name.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"))
}
