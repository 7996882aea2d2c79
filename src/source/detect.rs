//! Chooses the source that a pod uses. The choice only depends on the environment and the builder's settings.
//!
//! The default order is that of every AWS SDK: web identity first, then container credentials. `prefer` can reverse it. Each
//! source parses its own variables.

use super::SourceConfig;
use super::detection::{Detection, Preference};
use super::found::{Configured, Found, Other};
use super::settings::Settings;
use super::{pod_identity, web_identity};
use crate::env::{self, Env};
use crate::error::Error;
use crate::error::problem::Problem;
use crate::error::problem::setting::Setting;
use crate::source_kind::SourceKind;

/// The chosen source, the other source, and the reason for the choice.
#[derive(Clone, Debug)]
pub(crate) struct Detected {
    pub(crate) first: SourceConfig,
    pub(crate) other: Other<SourceConfig>,
    pub(crate) detection: Detection,
}

/// The configuration of each source, before one is chosen.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) preference: Result<Preference, Setting>,
    pub(crate) web_identity: Found<SourceConfig>,
    pub(crate) pod_identity: Found<SourceConfig>,
}

/// Reads the configuration of both sources. Each source decides whether its configuration is complete and valid.
pub(crate) fn survey(env: &Env, settings: &Settings) -> Survey {
    let web_identity = web_identity::from_env(env, settings).unwrap_or_else(|problem| Found::Broken(vec![problem]));
    let pod_identity = pod_identity::from_env(env).unwrap_or_else(|problem| Found::Broken(vec![problem]));
    Survey {
        preference: preference(env, settings),
        web_identity: web_identity.map(|config| SourceConfig::WebIdentity(Box::new(config))),
        pod_identity: pod_identity.map(|config| SourceConfig::PodIdentity(Box::new(config))),
    }
}

/// Chooses the source. `Ok(None)` if no source is configured.
///
/// # Errors
///
/// If the source to use cannot work with its configuration. With `fallback(true)` this also applies to the other source.
pub(crate) fn detect(env: &Env, settings: &Settings) -> Result<Option<Detected>, Error> {
    survey(env, settings).choose(settings)
}

impl Survey {
    pub(crate) fn found(&self, kind: SourceKind) -> &Found<SourceConfig> {
        match kind {
            SourceKind::WebIdentity => &self.web_identity,
            SourceKind::PodIdentity => &self.pod_identity,
        }
    }

    /// Chooses the source. The errors are those of [`detect`].
    pub(crate) fn choose(self, settings: &Settings) -> Result<Option<Detected>, Error> {
        let preference = self.preference?;
        let (first, second) = match preference.first() {
            SourceKind::WebIdentity => (self.web_identity, self.pod_identity),
            SourceKind::PodIdentity => (self.pod_identity, self.web_identity),
        };
        let (first, other) = match (first, second) {
            (Found::Present(first), Found::Absent) => (first, Other::NotConfigured),
            (Found::Present(first), Found::Present(second)) => (first, Other::Usable(second.config)),
            // With `fallback(true)` the other source must work too.
            (Found::Present(_), Found::Broken(problems)) if settings.fallback => return Err(first_of(problems)),
            (Found::Present(first), Found::Broken(problems)) => (first, Other::Unusable(first_of(problems))),
            (Found::Present(first), Found::Partial(problem)) => (first, Other::Unusable(problem.into())),
            (Found::Broken(problems), _) => return Err(first_of(problems)),
            (Found::Absent, Found::Present(second)) => (second, Other::NotConfigured),
            (Found::Partial(problem), Found::Present(second)) => (second, Other::Unusable(problem.into())),
            (_, Found::Broken(problems)) => return Err(first_of(problems)),
            (Found::Partial(problem), _) | (_, Found::Partial(problem)) => return Err(problem.into()),
            (Found::Absent, Found::Absent) => return Ok(None),
        };
        detected(first, other, preference, settings).map(Some)
    }
}

/// The first problem. The list of a broken source is never empty.
fn first_of(problems: Vec<Setting>) -> Error {
    problems.into_iter().next().map_or_else(not_configured, Error::from)
}

fn detected(
    first: Configured<SourceConfig>,
    other: Other<SourceConfig>,
    preference: Preference,
    settings: &Settings,
) -> Result<Detected, Error> {
    let Configured { config: first, settings: set } = first;
    check_narrowing(settings, &first)?;
    let other = match other {
        Other::Usable(other) => match check_narrowing(settings, &other) {
            Ok(()) => Other::Usable(other),
            Err(problem) if settings.fallback => return Err(problem.into()),
            Err(problem) => Other::Unusable(problem.into()),
        },
        other => other,
    };
    let fallback = settings.fallback && other.usable().is_some();
    let source = first.kind();
    let detection = Detection { source, settings: set, preference, other: other.as_ref().map(|_| ()), fallback };
    Ok(Detected { first, other, detection })
}

/// Refuses a session policy together with Pod Identity. Only STS can apply one, and without it the process would have more
/// permissions than configured.
fn check_narrowing(settings: &Settings, config: &SourceConfig) -> Result<(), Setting> {
    match config.kind() {
        SourceKind::PodIdentity if settings.irsa.narrows_permissions() => Err(Setting::NotNarrowable),
        _ => Ok(()),
    }
}

/// The error that every call returns if no source is configured.
pub(crate) fn not_configured() -> Error {
    Problem::NotConfigured.into()
}

/// `EKS_CREDENTIALS_SOURCE` has precedence over the builder: operators can change the order without a new build.
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
