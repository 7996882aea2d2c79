//! Which of the two methods the pod has: pure, from a snapshot of the environment and the builder's settings.
//!
//! The order is that of every AWS SDK: web identity, then container credentials; `prefer` turns it round.

use std::path::PathBuf;
#[cfg(feature = "irsa")]
use std::time::Duration;

use crate::env::{self, Env};
use crate::error::{Error, ErrorKind};
use crate::source::SourceKind;
#[cfg(feature = "pod-identity")]
use crate::source::container_endpoint::ContainerEndpoint;
#[cfg(feature = "pod-identity")]
use crate::source::pod_identity::PodIdentityConfig;
#[cfg(feature = "irsa")]
use crate::source::sts_endpoint;
#[cfg(feature = "irsa")]
use crate::source::web_identity::{self, WebIdentityConfig};
#[cfg(feature = "__tls")]
use crate::tls::TlsSettings;
#[cfg(feature = "pod-identity")]
use crate::token_file::Token;
#[cfg(any(feature = "pod-identity", feature = "diagnose"))]
use crate::token_file::TokenSource;

const PAIR_RULE: &str = "the EKS webhook injects a pair of variables only if the container sets neither of them itself: \
                         remove it from the container's env, or set both";

/// What the builder says instead of the environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) prefer: Option<SourceKind>,
    /// Whether a second method matters, so that it must be whole too.
    pub(crate) fallback: bool,
    #[cfg(any(feature = "irsa", feature = "sdk-config", feature = "diagnose"))]
    pub(crate) region: Option<String>,
    #[cfg(feature = "irsa")]
    pub(crate) irsa: IrsaSettings,
}

/// The parameters of `AssumeRoleWithWebIdentity`.
#[cfg(feature = "irsa")]
#[derive(Clone, Debug, Default)]
pub(crate) struct IrsaSettings {
    pub(crate) role_arn: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) session_name: Option<String>,
    pub(crate) duration: Option<Duration>,
    pub(crate) policy: Option<String>,
    pub(crate) policy_arns: Vec<String>,
    pub(crate) provider_id: Option<String>,
    pub(crate) sts_endpoint: Option<String>,
}

#[cfg(feature = "irsa")]
impl IrsaSettings {
    /// A session policy narrows what the role may do, and only STS can do that: without it the process would have more
    /// permissions than its author meant it to.
    fn check_narrowing<'a>(&self, mut sources: impl Iterator<Item = &'a SourceConfig>) -> Result<(), Error> {
        let narrows = self.policy.is_some() || !self.policy_arns.is_empty();
        if narrows && sources.any(|source| source.kind() == SourceKind::PodIdentity) {
            return Err(Error::invalid(
                "policy(..) or policy_arn(..) was given to the builder, and EKS Pod Identity, which this pod would use, \
                 cannot narrow a role: use IRSA, or narrow the role's own policies and remove the setting",
            ));
        }
        Ok(())
    }
}

/// One method, completely configured.
#[derive(Clone, Debug)]
pub(crate) enum SourceConfig {
    #[cfg(feature = "irsa")]
    WebIdentity(Box<WebIdentityConfig>),
    #[cfg(feature = "pod-identity")]
    PodIdentity(Box<PodIdentityConfig>),
}

#[cfg(any(feature = "irsa", feature = "diagnose"))]
impl SourceConfig {
    pub(crate) fn kind(&self) -> SourceKind {
        match self {
            #[cfg(feature = "irsa")]
            Self::WebIdentity(_) => SourceKind::WebIdentity,
            #[cfg(feature = "pod-identity")]
            Self::PodIdentity(_) => SourceKind::PodIdentity,
        }
    }

    /// Where its token comes from, if it needs one.
    #[cfg(feature = "diagnose")]
    pub(crate) fn tokens(&self) -> Option<TokenSource> {
        match self {
            #[cfg(feature = "irsa")]
            Self::WebIdentity(config) => Some(TokenSource::File(config.token_file.clone())),
            #[cfg(feature = "pod-identity")]
            Self::PodIdentity(config) => config.token.clone(),
        }
    }
}

/// What decides, and what a denial of it hands over to.
#[derive(Clone, Debug)]
pub(crate) struct Detected {
    pub(crate) first: SourceConfig,
    pub(crate) fallback: Option<SourceConfig>,
}

/// What was found of one method.
enum Found {
    Absent,
    /// A remnant that no AWS SDK takes for this method: an error only if the other method is not there either.
    Partial(Error),
    /// Meant to be used, and not usable.
    Broken(Error),
    Present(SourceConfig),
}

/// `Ok(None)`: nothing is configured. An error: something is, but not so that it could work.
pub(crate) fn detect(env: &Env, settings: &Settings) -> Result<Option<Detected>, Error> {
    let detected = find(env, settings)?;
    #[cfg(feature = "irsa")]
    if let Some(Detected { first, fallback }) = &detected {
        settings.irsa.check_narrowing([Some(first), fallback.as_ref()].into_iter().flatten())?;
    }
    Ok(detected)
}

fn find(env: &Env, settings: &Settings) -> Result<Option<Detected>, Error> {
    let mut first = None;
    let mut partial = None;
    for kind in order(env, settings)? {
        let found = match kind {
            SourceKind::WebIdentity => web_identity(env, settings),
            SourceKind::PodIdentity => pod_identity(env),
        };
        match (found.unwrap_or_else(Found::Broken), first.take()) {
            (Found::Present(second), Some(first)) => {
                return Ok(Some(Detected { first, fallback: settings.fallback.then_some(second) }));
            }
            (Found::Present(config), None) => first = Some(config),
            (Found::Broken(error), None) => return Err(error),
            (Found::Broken(error), Some(_)) if settings.fallback => return Err(error),
            (Found::Partial(error), none) => {
                first = none;
                partial = partial.or(Some(error));
            }
            (_, kept) => first = kept,
        }
    }
    match (first, partial) {
        (Some(first), _) => Ok(Some(Detected { first, fallback: None })),
        (None, Some(partial)) => Err(partial),
        (None, None) => Ok(None),
    }
}

/// Every ask of a provider without configuration returns this.
pub(crate) fn not_configured() -> Error {
    Error::new(
        ErrorKind::NotConfigured,
        format!(
            "no AWS credentials for this pod: neither {} and {} (IRSA) nor {} or {} (EKS Pod Identity) are set. Usual \
             reasons: the service account has no eks.amazonaws.com/role-arn annotation and no Pod Identity association; \
             the pod identity webhook did not run or the eks-pod-identity-agent add-on is missing; or the pod is older \
             than the annotation or association and must be restarted",
            env::ROLE_ARN,
            env::WEB_IDENTITY_TOKEN_FILE,
            env::CONTAINER_FULL_URI,
            env::CONTAINER_RELATIVE_URI
        ),
    )
}

/// The variable before the builder: who operates the pod can turn the order round without a rebuild.
fn order(env: &Env, settings: &Settings) -> Result<[SourceKind; 2], Error> {
    use SourceKind::{PodIdentity, WebIdentity};
    let preferred = match env.get(env::SOURCE)? {
        None => settings.prefer,
        Some("auto") => None,
        Some(name) => {
            let known = [WebIdentity, PodIdentity].into_iter().find(|kind| kind.as_str() == name);
            Some(known.ok_or_else(|| {
                Error::invalid(format!("{}=\"{name}\" is none of irsa, pod-identity, auto", env::SOURCE))
            })?)
        }
    };
    Ok(match preferred {
        Some(PodIdentity) => [PodIdentity, WebIdentity],
        Some(WebIdentity) | None => [WebIdentity, PodIdentity],
    })
}

#[cfg(feature = "irsa")]
fn web_identity(env: &Env, settings: &Settings) -> Result<Found, Error> {
    let irsa = &settings.irsa;
    let (role, role_arn) = match &irsa.role_arn {
        Some(arn) => ("the builder's role_arn", Some(arn.as_str())),
        None => (env::ROLE_ARN, env.get(env::ROLE_ARN)?),
    };
    let (file, token_file) = match &irsa.token_file {
        Some(path) => ("the builder's token_file", Some(path.clone())),
        None => (env::WEB_IDENTITY_TOKEN_FILE, env.get(env::WEB_IDENTITY_TOKEN_FILE)?.map(PathBuf::from)),
    };
    let half = |set: &str, value: &dyn std::fmt::Display, missing: &str| {
        Error::invalid(format!("half of IRSA is configured: {set}=\"{value}\" is set, {missing} is not; {PAIR_RULE}"))
    };
    let (role_arn, token_file) = match (role_arn, token_file) {
        (None, None) => return Ok(Found::Absent),
        (Some(arn), None) if irsa.role_arn.is_some() => return Err(half(role, &arn, file)),
        (Some(arn), None) => return Ok(Found::Partial(half(role, &arn, file))),
        (None, Some(path)) => return Err(half(file, &path.display(), role)),
        (Some(arn), Some(path)) => (arn, path),
    };
    if !is_role_arn(role_arn) {
        return Err(Error::invalid(format!(
            "{role}=\"{role_arn}\" is not a role ARN; expected arn:aws:iam::<12-digit account>:role/<name>"
        )));
    }
    let session_name = match &irsa.session_name {
        Some(name) => Some(name.as_str()),
        None => env.get(env::ROLE_SESSION_NAME)?,
    };
    if let Some(name) = session_name {
        web_identity::check_session_name(env::ROLE_SESSION_NAME, name)?;
    }
    Ok(Found::Present(SourceConfig::WebIdentity(Box::new(WebIdentityConfig {
        role_arn: role_arn.to_owned(),
        token_file,
        endpoint: sts_endpoint::resolve(env, irsa.sts_endpoint.as_deref(), settings.region.as_deref())?,
        session_name: session_name.map(str::to_owned),
        host_name: env.get(env::HOSTNAME)?.map(str::to_owned),
        duration: irsa.duration,
        policy: irsa.policy.clone(),
        policy_arns: irsa.policy_arns.clone(),
        provider_id: irsa.provider_id.clone(),
        tls: TlsSettings::from_env(env)?,
    }))))
}

#[cfg(not(feature = "irsa"))]
fn web_identity(env: &Env, _: &Settings) -> Result<Found, Error> {
    not_in_this_build(env, env::WEB_IDENTITY_TOKEN_FILE, "irsa")
}

#[cfg(feature = "pod-identity")]
fn pod_identity(env: &Env) -> Result<Found, Error> {
    let token_file = env.get(env::CONTAINER_TOKEN_FILE)?;
    let endpoint = match (env.get(env::CONTAINER_RELATIVE_URI)?, env.get(env::CONTAINER_FULL_URI)?) {
        (Some(path), _) => ContainerEndpoint::relative(path)?,
        (None, Some(url)) => ContainerEndpoint::full(url)?,
        (None, None) => {
            let Some(path) = token_file else { return Ok(Found::Absent) };
            return Ok(Found::Partial(Error::invalid(format!(
                "half of EKS Pod Identity is configured: {}=\"{path}\" is set, {} is not; {PAIR_RULE}",
                env::CONTAINER_TOKEN_FILE,
                env::CONTAINER_FULL_URI
            ))));
        }
    };
    let token = match (token_file, env.get(env::CONTAINER_TOKEN)?) {
        (Some(path), _) => Some(TokenSource::File(PathBuf::from(path))),
        (None, Some(token)) => {
            let bytes = zeroize::Zeroizing::new(token.as_bytes().to_vec());
            let token = Token::parse(bytes, env::CONTAINER_TOKEN);
            Some(TokenSource::Fixed(token.map_err(|e| Error::invalid(e.to_string()))?))
        }
        (None, None) => None,
    };
    if token.is_none() && endpoint.is_eks_agent() {
        return Err(Error::invalid(format!(
            "half of EKS Pod Identity is configured: {}=\"{}\" is set, {} is not, and the agent answers nobody without \
             a token; {PAIR_RULE}",
            env::CONTAINER_FULL_URI,
            endpoint.url(),
            env::CONTAINER_TOKEN_FILE
        )));
    }
    Ok(Found::Present(SourceConfig::PodIdentity(Box::new(PodIdentityConfig {
        endpoint,
        token,
        #[cfg(feature = "__tls")]
        tls: TlsSettings::from_env(env)?,
    }))))
}

#[cfg(not(feature = "pod-identity"))]
fn pod_identity(env: &Env) -> Result<Found, Error> {
    not_in_this_build(env, env::CONTAINER_FULL_URI, "pod-identity")
}

/// A method that is configured but not compiled in does not hinder the other one.
#[cfg(not(all(feature = "irsa", feature = "pod-identity")))]
fn not_in_this_build(env: &Env, name: &str, feature: &str) -> Result<Found, Error> {
    Ok(match env.get(name)? {
        None => Found::Absent,
        Some(value) => Found::Partial(Error::invalid(format!(
            "{name}=\"{value}\" is set, but this build of eks-credentials lacks the feature `{feature}`: enable it"
        ))),
    })
}

/// `arn:<partition>:iam::<account>:role/<path and name>`
#[cfg(feature = "irsa")]
pub(crate) fn is_role_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [prefix, partition, service, region, account, resource] = parts.as_slice() else { return false };
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let names_a_role = resource.strip_prefix("role/").is_some_and(|name| !name.is_empty() && !name.ends_with('/'));
    *prefix == "arn"
        && partition.starts_with("aws")
        && *service == "iam"
        && region.is_empty()
        && is_account
        && names_a_role
        && arn.bytes().all(|b| b.is_ascii_graphic())
}
