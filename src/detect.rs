//! Which of the two methods the pod has: pure, from a snapshot of the environment and the builder's settings.
//!
//! The order is that of every AWS SDK: web identity, then container credentials; `prefer` turns it round.

use std::path::PathBuf;
#[cfg(feature = "irsa")]
use std::time::Duration;

use crate::detection::{Detection, Other, Preference};
use crate::env::{self, Env};
use crate::error::Error;
use crate::problem::Problem;
use crate::problem::setting::Setting;
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
    fn check_narrowing(&self, source: &SourceConfig) -> Result<(), Setting> {
        let narrows = self.policy.is_some() || !self.policy_arns.is_empty();
        if narrows && source.kind() == SourceKind::PodIdentity {
            return Err(Setting::NotNarrowable);
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

/// What was found of each source, before one is chosen.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) preference: Result<Preference, Setting>,
    pub(crate) web_identity: Found,
    pub(crate) pod_identity: Found,
}

/// What was found of one source.
#[derive(Debug)]
pub(crate) enum Found {
    Absent,
    /// A remnant that no AWS SDK takes for this source: an error only if the other source is not there either.
    Partial(Setting),
    /// Meant to be used, and not usable: at least one reason.
    Broken(Vec<Setting>),
    Present(Box<Configured>),
}

/// One source, and by what it was configured.
#[derive(Debug)]
pub(crate) struct Configured {
    pub(crate) source: SourceConfig,
    pub(crate) settings: Vec<&'static str>,
}

/// Reads the environment and the builder's settings. All rules on what makes a source complete are applied here.
pub(crate) fn survey(env: &Env, settings: &Settings) -> Survey {
    let broken = |problem| Found::Broken(vec![problem]);
    Survey {
        preference: preference(env, settings),
        web_identity: web_identity(env, settings).unwrap_or_else(broken),
        pod_identity: pod_identity(env).unwrap_or_else(broken),
    }
}

/// `Ok(None)`: nothing is configured. An error: something is, but not so that it could work.
pub(crate) fn detect(env: &Env, settings: &Settings) -> Result<Option<Detected>, Error> {
    survey(env, settings).choose(settings)
}

impl Survey {
    #[cfg(feature = "diagnose")]
    pub(crate) fn found(&self, kind: SourceKind) -> &Found {
        match kind {
            SourceKind::WebIdentity => &self.web_identity,
            SourceKind::PodIdentity => &self.pod_identity,
        }
    }

    /// Which of the two is used. As [`detect`].
    pub(crate) fn choose(self, settings: &Settings) -> Result<Option<Detected>, Error> {
        let preference = self.preference?;
        let (first, second) = match preference.first() {
            SourceKind::WebIdentity => (self.web_identity, self.pod_identity),
            SourceKind::PodIdentity => (self.pod_identity, self.web_identity),
        };
        let (first, second) = match (first, second) {
            (Found::Present(first), Found::Absent) => (first, None),
            (Found::Present(first), Found::Present(second)) => (first, Some(Ok(second.source))),
            // The program asked for a fallback to it.
            (Found::Present(_), Found::Broken(problems)) if settings.fallback => return Err(first_of(problems)),
            (Found::Present(first), Found::Broken(problems)) => (first, Some(Err(first_of(problems)))),
            (Found::Present(first), Found::Partial(problem)) => (first, Some(Err(problem.into()))),
            (Found::Broken(problems), _) => return Err(first_of(problems)),
            (Found::Absent, Found::Present(second)) => (second, None),
            (Found::Partial(problem), Found::Present(second)) => (second, Some(Err(problem.into()))),
            (_, Found::Broken(problems)) => return Err(first_of(problems)),
            (Found::Partial(problem), _) | (_, Found::Partial(problem)) => return Err(problem.into()),
            (Found::Absent, Found::Absent) => return Ok(None),
        };
        detected(*first, second, preference, settings).map(Some)
    }
}

/// There is always one.
fn first_of(problems: Vec<Setting>) -> Error {
    problems.into_iter().next().map_or_else(not_configured, Error::from)
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
            Err(problem) if settings.fallback => return Err(problem.into()),
            narrowing => Some(narrowing.map(|()| second).map_err(Error::from)),
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

/// Every request to a provider without configuration returns this.
pub(crate) fn not_configured() -> Error {
    Problem::NotConfigured.into()
}

/// The variable has precedence over the builder, so that the order can be changed without a rebuild.
fn preference(env: &Env, settings: &Settings) -> Result<Preference, Setting> {
    use SourceKind::{PodIdentity, WebIdentity};
    match env.get(env::SOURCE)? {
        None => Ok(settings.prefer.map_or(Preference::SdkOrder, Preference::Builder)),
        Some(name) if name.eq_ignore_ascii_case("auto") => Ok(Preference::SdkOrder),
        Some(name) => {
            let mut known = [WebIdentity, PodIdentity].into_iter();
            let known = known.find(|kind| kind.as_str().eq_ignore_ascii_case(name));
            known.map(Preference::Environment).ok_or_else(|| Setting::Source { value: name.to_owned() })
        }
    }
}

#[cfg(feature = "irsa")]
fn web_identity(env: &Env, settings: &Settings) -> Result<Found, Setting> {
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
        value: env::without_password(value).to_owned(),
        missing,
    };
    let (role_arn, token_file) = match (role_arn, token_file) {
        (None, None) => return Ok(Found::Absent),
        (Some(arn), None) if irsa.role_arn.is_some() => return Err(half(role, arn, file)),
        (Some(arn), None) => return Ok(Found::Partial(half(role, arn, file))),
        (None, Some(path)) => return Err(half(file, &path.display().to_string(), role)),
        (Some(arn), Some(path)) => (arn, path),
    };
    // Each on its own, so that all mistakes are found.
    let endpoint = sts_endpoint::resolve(env, irsa.sts_endpoint.as_deref(), settings.region.as_deref());
    let other_sts = sts_endpoint::is_configured(env, irsa.sts_endpoint.as_deref());
    let region = endpoint.as_ref().ok().and_then(|endpoint| endpoint.region.as_deref());
    let role_arn = other_sts.and_then(|other_sts| parse_role_arn(role, role_arn, other_sts, region));
    let session_name = session_name(env, irsa);
    let host_name = env.get(env::HOSTNAME);
    let https = HttpsSettings::from_env(env);
    let (endpoint, role_arn, session_name, host_name, https) =
        match (endpoint, role_arn, session_name, host_name, https) {
            (Ok(endpoint), Ok(role_arn), Ok(session_name), Ok(host_name), Ok(https)) => {
                (endpoint, role_arn, session_name, host_name, https)
            }
            (endpoint, role_arn, session_name, host_name, https) => {
                let problems = [role_arn.err(), endpoint.err(), session_name.err(), host_name.err(), https.err()];
                return Ok(Found::Broken(problems.into_iter().flatten().collect()));
            }
        };
    let source = SourceConfig::WebIdentity(Box::new(WebIdentityConfig {
        role_arn,
        token_file,
        endpoint,
        session_name,
        host_name: host_name.map(str::to_owned),
        duration: irsa.duration,
        policy: irsa.policy.clone(),
        policy_arns: irsa.policy_arns.clone(),
        provider_id: irsa.provider_id.clone(),
        https,
    }));
    Ok(Found::Present(Box::new(Configured { source, settings: vec![role, file] })))
}

#[cfg(feature = "irsa")]
fn session_name(env: &Env, irsa: &IrsaSettings) -> Result<Option<String>, Setting> {
    let session_name = match &irsa.session_name {
        Some(name) => Some(name.as_str()),
        None => env.get(env::ROLE_SESSION_NAME)?,
    };
    if let Some(name) = session_name {
        web_identity::check_session_name(env::ROLE_SESSION_NAME, name)?;
    }
    Ok(session_name.map(str::to_owned))
}

/// At an endpoint that is derived from the region, the ARN must be one of AWS and of the region's partition: that finds
/// mistakes before anything is sent. Behind a configured endpoint there may be another implementation of STS, which
/// validates the ARN itself.
#[cfg(feature = "irsa")]
fn parse_role_arn(
    setting: &'static str,
    value: &str,
    other_sts: bool,
    region: Option<&str>,
) -> Result<RoleArn, Setting> {
    let (parsed, expected) = match other_sts {
        true => (RoleArn::of_any_sts(value), "a text that begins with \"arn:\" and has no control characters"),
        false => (RoleArn::of_aws(value), "arn:aws:iam::<12-digit account>:role/<name>"),
    };
    let shown = || env::without_password(value).chars().take(200).collect::<String>();
    let role_arn = parsed.ok_or_else(|| Setting::RoleArn { setting, value: shown(), expected })?;
    if let Some(region) = region {
        let partition = sts_endpoint::partition_of(region);
        if role_arn.partition() != partition {
            return Err(Setting::RolePartition { setting, value: shown(), region: region.to_owned(), partition });
        }
    }
    Ok(role_arn)
}

#[cfg(not(feature = "irsa"))]
fn web_identity(env: &Env, _: &Settings) -> Result<Found, Setting> {
    not_in_this_build(env, env::WEB_IDENTITY_TOKEN_FILE, "irsa")
}

#[cfg(feature = "pod-identity")]
fn pod_identity(env: &Env) -> Result<Found, Setting> {
    let token_file = env.get(env::CONTAINER_TOKEN_FILE)?;
    let half = |set, value: &str, missing| Setting::Half {
        source: SourceKind::PodIdentity,
        set,
        value: env::without_password(value).to_owned(),
        missing,
    };
    let endpoint = match (env.get(env::CONTAINER_RELATIVE_URI)?, env.get(env::CONTAINER_FULL_URI)?) {
        (Some(path), _) => ContainerEndpoint::relative(path)?,
        (None, Some(url)) => ContainerEndpoint::full(url)?,
        (None, None) => {
            let half = |path| half(env::CONTAINER_TOKEN_FILE, path, env::CONTAINER_FULL_URI);
            return Ok(token_file.map_or(Found::Absent, |path| Found::Partial(half(path))));
        }
    };
    let token = match (token_file, env.get(env::CONTAINER_TOKEN)?) {
        (Some(path), _) => Some((env::CONTAINER_TOKEN_FILE, TokenSource::File(PathBuf::from(path)))),
        (None, Some(token)) => {
            let bytes = zeroize::Zeroizing::new(token.as_bytes().to_vec());
            let token = Token::parse(bytes, env::CONTAINER_TOKEN).map_err(Setting::ContainerToken)?;
            Some((env::CONTAINER_TOKEN, TokenSource::Fixed(token)))
        }
        (None, None) => None,
    };
    // The agent answers no request without a token. Other servers may.
    if token.is_none() && endpoint.is_eks_agent() {
        return Err(half(endpoint.setting(), &endpoint.url().to_string(), env::CONTAINER_TOKEN_FILE));
    }
    let settings = [Some(endpoint.setting()), token.as_ref().map(|(variable, _)| *variable)];
    let source = SourceConfig::PodIdentity(Box::new(PodIdentityConfig {
        endpoint,
        token: token.map(|(_, token)| token),
        https: HttpsSettings::from_env(env)?,
    }));
    Ok(Found::Present(Box::new(Configured { source, settings: settings.into_iter().flatten().collect() })))
}

#[cfg(not(feature = "pod-identity"))]
fn pod_identity(env: &Env) -> Result<Found, Setting> {
    not_in_this_build(env, env::CONTAINER_FULL_URI, "pod-identity")
}

/// A source that is configured but not compiled in does not hinder the other one.
#[cfg(not(all(feature = "irsa", feature = "pod-identity")))]
fn not_in_this_build(env: &Env, name: &'static str, feature: &'static str) -> Result<Found, Setting> {
    Ok(match env.get(name)? {
        None => Found::Absent,
        Some(value) => {
            let value = env::without_password(value).to_owned();
            Found::Partial(Setting::NotInThisBuild { name, value, feature })
        }
    })
}
