//! Which of the two methods the pod has: pure, from a snapshot of the environment and the builder's settings.
//!
//! The order is that of every AWS SDK: web identity, then container credentials; `prefer` turns it round.

use std::path::PathBuf;
#[cfg(feature = "irsa")]
use std::time::Duration;

use crate::detection::{Detection, Other, Preference};
use crate::env::{self, Env};
use crate::error::{Error, ErrorKind};
use crate::source::SourceKind;
#[cfg(feature = "pod-identity")]
use crate::source::container_endpoint::ContainerEndpoint;
#[cfg(feature = "pod-identity")]
use crate::source::pod_identity::PodIdentityConfig;
#[cfg(feature = "irsa")]
use crate::source::role_arn::RoleArn;
#[cfg(feature = "irsa")]
use crate::source::sts_endpoint;
#[cfg(feature = "irsa")]
use crate::source::web_identity::{self, WebIdentityConfig};
#[cfg(feature = "pod-identity")]
use crate::token_file::Token;
#[cfg(any(feature = "pod-identity", feature = "diagnose"))]
use crate::token_file::TokenSource;
use crate::transport::HttpsSettings;

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
    fn check_narrowing(&self, source: &SourceConfig) -> Result<(), Error> {
        let narrows = self.policy.is_some() || !self.policy_arns.is_empty();
        if narrows && source.kind() == SourceKind::PodIdentity {
            return Err(Error::invalid(
                "policy(..) or policy_arn(..) was given to the builder, and EKS Pod Identity cannot narrow a role: use \
                 IRSA, or narrow the role's own policies and remove the setting",
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

/// What serves, what else the pod has, and why it is this way round.
#[derive(Clone, Debug)]
pub(crate) struct Detected {
    pub(crate) first: SourceConfig,
    /// The other method, or why it could not serve; `None` if nothing of it is configured.
    pub(crate) second: Option<Result<SourceConfig, Error>>,
    pub(crate) detection: Detection,
}

/// What was found of one method.
enum Found {
    Absent,
    /// A remnant that no AWS SDK takes for this method: an error only if the other method is not there either.
    Partial(Error),
    /// Meant to be used, and not usable.
    Broken(Error),
    Present(Configured),
}

/// One method, and by what it was configured.
struct Configured {
    source: SourceConfig,
    settings: Vec<&'static str>,
}

/// `Ok(None)`: nothing is configured. An error: something is, but not so that it could work.
pub(crate) fn detect(env: &Env, settings: &Settings) -> Result<Option<Detected>, Error> {
    let preference = preference(env, settings)?;
    let first = preference.first();
    let [first, second] = [first, first.other()].map(|kind| {
        let found = match kind {
            SourceKind::WebIdentity => web_identity(env, settings),
            SourceKind::PodIdentity => pod_identity(env),
        };
        found.unwrap_or_else(Found::Broken)
    });
    let (first, second) = match (first, second) {
        (Found::Present(first), Found::Absent) => (first, None),
        (Found::Present(first), Found::Present(second)) => (first, Some(Ok(second.source))),
        // It was meant to be handed over to.
        (Found::Present(_), Found::Broken(error)) if settings.fallback => return Err(error),
        (Found::Present(first), Found::Broken(error) | Found::Partial(error)) => (first, Some(Err(error))),
        (Found::Broken(error), _) => return Err(error),
        (Found::Absent, Found::Present(second)) => (second, None),
        (Found::Partial(error), Found::Present(second)) => (second, Some(Err(error))),
        (_, Found::Broken(error)) | (Found::Partial(error), _) | (_, Found::Partial(error)) => return Err(error),
        (Found::Absent, Found::Absent) => return Ok(None),
    };
    detected(first, second, preference, settings).map(Some)
}

fn detected(
    first: Configured,
    second: Option<Result<SourceConfig, Error>>,
    preference: Preference,
    settings: &Settings,
) -> Result<Detected, Error> {
    let Configured { source: first, settings: set } = first;
    #[cfg(feature = "irsa")]
    settings.irsa.check_narrowing(&first)?;
    #[cfg(feature = "irsa")]
    let second = match second {
        Some(Ok(second)) => match settings.irsa.check_narrowing(&second) {
            Err(error) if settings.fallback => return Err(error),
            narrowing => Some(narrowing.map(|()| second)),
        },
        second => second,
    };
    let other = match &second {
        None => Other::NotConfigured,
        Some(Ok(_)) => Other::Configured,
        Some(Err(problem)) => Other::Unusable(problem.clone()),
    };
    let fallback = settings.fallback && matches!(other, Other::Configured);
    let detection = Detection { source: first.kind(), settings: set, preference, other, fallback };
    Ok(Detected { first, second, detection })
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
fn preference(env: &Env, settings: &Settings) -> Result<Preference, Error> {
    use SourceKind::{PodIdentity, WebIdentity};
    match env.get(env::SOURCE)? {
        None => Ok(settings.prefer.map_or(Preference::SdkOrder, Preference::Builder)),
        Some("auto") => Ok(Preference::SdkOrder),
        Some(name) => {
            let known = [WebIdentity, PodIdentity].into_iter().find(|kind| kind.as_str() == name);
            known.map(Preference::Environment).ok_or_else(|| {
                Error::invalid(format!("{}=\"{name}\" is none of irsa, pod-identity, auto", env::SOURCE))
            })
        }
    }
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
    let endpoint = sts_endpoint::resolve(env, irsa.sts_endpoint.as_deref(), settings.region.as_deref());
    let role_arn = parse_role_arn(role, role_arn, sts_endpoint::is_configured(env, irsa.sts_endpoint.as_deref())?)?;
    let session_name = match &irsa.session_name {
        Some(name) => Some(name.as_str()),
        None => env.get(env::ROLE_SESSION_NAME)?,
    };
    if let Some(name) = session_name {
        web_identity::check_session_name(env::ROLE_SESSION_NAME, name)?;
    }
    let source = SourceConfig::WebIdentity(Box::new(WebIdentityConfig {
        role_arn,
        token_file,
        endpoint: endpoint?,
        session_name: session_name.map(str::to_owned),
        host_name: env.get(env::HOSTNAME)?.map(str::to_owned),
        duration: irsa.duration,
        policy: irsa.policy.clone(),
        policy_arns: irsa.policy_arns.clone(),
        provider_id: irsa.provider_id.clone(),
        https: HttpsSettings::from_env(env)?,
    }));
    Ok(Found::Present(Configured { source, settings: vec![role, file] }))
}

/// At an endpoint that is derived from the region the ARN must be one of AWS: that finds mistakes before anything is sent.
/// Behind a configured endpoint there may be another implementation of STS, which validates the ARN itself.
#[cfg(feature = "irsa")]
fn parse_role_arn(setting: &str, value: &str, other_sts: bool) -> Result<RoleArn, Error> {
    let (parsed, expected) = match other_sts {
        true => (RoleArn::of_any_sts(value), "a text that begins with \"arn:\" and has no control characters"),
        false => (RoleArn::of_aws(value), "arn:aws:iam::<12-digit account>:role/<name>"),
    };
    parsed.ok_or_else(|| Error::invalid(format!("{setting}=\"{value}\" is not a role ARN; expected {expected}")))
}

#[cfg(not(feature = "irsa"))]
fn web_identity(env: &Env, _: &Settings) -> Result<Found, Error> {
    not_in_this_build(env, env::WEB_IDENTITY_TOKEN_FILE, "irsa")
}

#[cfg(feature = "pod-identity")]
fn pod_identity(env: &Env) -> Result<Found, Error> {
    let token_file = env.get(env::CONTAINER_TOKEN_FILE)?;
    let (uri, endpoint) = match (env.get(env::CONTAINER_RELATIVE_URI)?, env.get(env::CONTAINER_FULL_URI)?) {
        (Some(path), _) => (env::CONTAINER_RELATIVE_URI, ContainerEndpoint::relative(path)?),
        (None, Some(url)) => (env::CONTAINER_FULL_URI, ContainerEndpoint::full(url)?),
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
        (Some(path), _) => Some((env::CONTAINER_TOKEN_FILE, TokenSource::File(PathBuf::from(path)))),
        (None, Some(token)) => {
            let bytes = zeroize::Zeroizing::new(token.as_bytes().to_vec());
            let token = Token::parse(bytes, env::CONTAINER_TOKEN);
            Some((env::CONTAINER_TOKEN, TokenSource::Fixed(token.map_err(|e| Error::invalid(e.to_string()))?)))
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
    let (variable, token) = token.unzip();
    let source = SourceConfig::PodIdentity(Box::new(PodIdentityConfig {
        endpoint,
        token,
        https: HttpsSettings::from_env(env)?,
    }));
    Ok(Found::Present(Configured { source, settings: [Some(uri), variable].into_iter().flatten().collect() }))
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
