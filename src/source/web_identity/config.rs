//! Parses the configuration of IRSA from the environment and the builder.

use std::path::PathBuf;

use super::parameters::Parameters;
use super::role_arn::RoleArn;
use super::session_name::SessionName;
use super::sts_endpoint::{self, StsEndpoint};
use crate::env::partition::Partition;
use crate::env::region::Region;
use crate::env::{self, Env};
use crate::error::problem::setting::Setting;
use crate::source::found::{Configured, Found};
use crate::source::settings::Settings;
use crate::source_kind::SourceKind;
use crate::token_file::TokenSource;
use crate::transport::HttpsSettings;
use crate::variable;

/// The configuration for `AssumeRoleWithWebIdentity`.
#[derive(Clone, Debug)]
pub(crate) struct WebIdentityConfig {
    pub(crate) role_arn: RoleArn,
    pub(crate) token_file: PathBuf,
    pub(crate) endpoint: StsEndpoint,
    /// From the builder or `AWS_ROLE_SESSION_NAME`.
    pub(crate) session_name: Option<SessionName>,
    /// `HOSTNAME`, which is the pod's name. The session name is derived from it if none is configured and the token has no claim
    /// with the pod's name.
    pub(crate) host_name: Option<String>,
    pub(crate) parameters: Parameters,
    pub(crate) https: HttpsSettings,
}

impl WebIdentityConfig {
    pub(crate) fn tokens(&self) -> TokenSource {
        TokenSource::File(self.token_file.clone())
    }
}

/// Parses the variables and the builder's settings for IRSA. The builder's settings have precedence.
pub(crate) fn from_env(env: &Env, settings: &Settings) -> Result<Found<WebIdentityConfig>, Setting> {
    if cfg!(not(feature = "irsa")) {
        return Found::not_in_this_build(env, env::WEB_IDENTITY_TOKEN_FILE, "irsa");
    }
    let irsa = &settings.irsa;
    let (role, role_arn) = match &irsa.role_arn {
        Some(arn) => ("the builder's role_arn", Some(arn.as_str())),
        None => (env::ROLE_ARN, env.get(env::ROLE_ARN)?),
    };
    let (file, token_file) = match &irsa.token_file {
        Some(path) => ("the builder's token_file", Some(path.clone())),
        None => (env::WEB_IDENTITY_TOKEN_FILE, env.get(env::WEB_IDENTITY_TOKEN_FILE)?.map(PathBuf::from)),
    };
    let half = |set, value: &str, missing| Setting::Half {
        source: SourceKind::WebIdentity,
        set,
        value: variable::without_password(value).to_owned(),
        missing,
    };
    let (role_arn, token_file) = match (role_arn, token_file) {
        (None, None) => return Ok(Found::Absent),
        (Some(arn), None) if irsa.role_arn.is_some() => return Err(half(role, arn, file)),
        (Some(arn), None) => return Ok(Found::Partial(half(role, arn, file))),
        (None, Some(path)) => return Err(half(file, &path.display().to_string(), role)),
        (Some(arn), Some(path)) => (arn, path),
    };
    // All values are parsed before the first error is returned: `diagnose` reports every mistake at once.
    let endpoint = sts_endpoint::resolve(env, irsa.sts_endpoint.as_deref(), settings.region.as_deref());
    let other_sts = sts_endpoint::is_configured(env, irsa.sts_endpoint.as_deref());
    let region = endpoint.as_ref().ok().and_then(StsEndpoint::region);
    let role_arn = other_sts.and_then(|other_sts| parse_role_arn(role, role_arn, other_sts, region));
    let parameters = Parameters::parse(irsa);
    let session_name = session_name(env);
    let host_name = env.get(env::HOSTNAME);
    let https = HttpsSettings::from_env(env);
    match (endpoint, role_arn, parameters, session_name, host_name, https) {
        (Ok(endpoint), Ok(role_arn), Ok(parameters), Ok(session_name), Ok(host_name), Ok(https)) => {
            let config = WebIdentityConfig {
                role_arn,
                token_file,
                endpoint,
                session_name: parameters.session_name.clone().or(session_name),
                host_name: host_name.map(str::to_owned),
                parameters,
                https,
            };
            Ok(Found::Present(Configured { config, settings: vec![role, file] }))
        }
        (endpoint, role_arn, parameters, session_name, host_name, https) => {
            let problems =
                [role_arn.err(), endpoint.err(), parameters.err(), session_name.err(), host_name.err(), https.err()];
            Ok(Found::Broken(problems.into_iter().flatten().collect()))
        }
    }
}

fn session_name(env: &Env) -> Result<Option<SessionName>, Setting> {
    let name = env.get(env::ROLE_SESSION_NAME)?;
    name.map(|name| SessionName::parse(env::ROLE_SESSION_NAME, name)).transpose()
}

/// With the endpoint of a region, the ARN must have the format of AWS and the partition of the region. This finds mistakes
/// before a request is sent. A configured endpoint may belong to another implementation of STS, which validates the ARN
/// itself: see "2.5 Other implementations of STS" in `docs::protocols`.
pub(crate) fn parse_role_arn(
    setting: &'static str,
    value: &str,
    other_sts: bool,
    region: Option<&Region>,
) -> Result<RoleArn, Setting> {
    let (parsed, expected) = match other_sts {
        true => (RoleArn::of_any_sts(value), "a text that begins with \"arn:\" and has no control characters"),
        false => (RoleArn::of_aws(value), "arn:aws:iam::<12-digit account>:role/<name>"),
    };
    let shown = || variable::without_password(value).chars().take(200).collect::<String>();
    let role_arn = parsed.ok_or_else(|| Setting::RoleArn { setting, value: shown(), expected })?;
    if let Some(region) = region {
        let partition = Partition::of(region).id;
        if role_arn.partition() != partition {
            return Err(Setting::RolePartition { setting, value: shown(), region: region.to_string(), partition });
        }
    }
    Ok(role_arn)
}
