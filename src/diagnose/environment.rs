//! Checks of the environment variables: the result of the detection for each source, and other variables that matter.

use std::path::Path;

use super::{Finding, FindingId, Severity};
use crate::env::{self, Env};
use crate::error::problem::Problem;
use crate::source::SourceConfig;
use crate::source::detect::{Detected, Survey};
use crate::source::detection::Preference;
use crate::source::found::{Configured, Found};
use crate::source::settings::Settings;
use crate::source_kind::SourceKind;
use crate::token_file::TokenSource;

/// A value that is not UTF-8 counts as unset here, because detection already reports it.
fn get<'a>(env: &'a Env, name: &str) -> Option<&'a str> {
    env.get(name).ok().flatten()
}

/// The result of the detection for each source.
pub(super) fn sources(survey: &Survey) -> Vec<Finding> {
    let mut findings = Vec::new();
    for kind in [SourceKind::WebIdentity, SourceKind::PodIdentity] {
        match survey.found(kind) {
            Found::Absent => {}
            Found::Partial(problem) => findings.push(Finding::of_setting(problem)),
            Found::Broken(problems) => findings.extend(problems.iter().map(Finding::of_setting)),
            Found::Present(configured) => {
                findings.push(Finding::new(FindingId::EnvOk, shown(kind, configured)));
                findings.extend(own(&configured.config));
            }
        }
    }
    if matches!((&survey.web_identity, &survey.pod_identity), (Found::Absent, Found::Absent)) {
        findings.push(Finding::of_problem(&Problem::NotConfigured));
    }
    findings
}

/// Lowers errors to warnings. Called if one source is usable, because the problem of the other source then stops
/// nothing.
pub(super) fn soften(findings: &mut [Finding]) {
    for finding in findings {
        finding.severity = finding.severity.min(Severity::Warning);
    }
}

/// `IRSA: AWS_ROLE_ARN=… and AWS_WEB_IDENTITY_TOKEN_FILE=…`
fn shown(kind: SourceKind, configured: &Configured<SourceConfig>) -> String {
    let Configured { config: source, settings } = configured;
    let first = match source {
        SourceConfig::WebIdentity(config) => config.role_arn.to_string(),
        SourceConfig::PodIdentity(config) => config.endpoint.url().to_string(),
    };
    let second = match source.tokens() {
        Some(TokenSource::File(path)) => format!("=\"{}\"", path.display()),
        Some(TokenSource::Fixed(_)) => " (its value is not shown)".to_owned(),
        None => String::new(),
    };
    match settings.as_slice() {
        [one] => format!("{kind}: {one}=\"{first}\""),
        [one, two, ..] => format!("{kind}: {one}=\"{first}\" and {two}{second}"),
        [] => kind.to_string(),
    }
}

/// Reports variables that were not set by the EKS webhook, which injects known paths.
fn own(source: &SourceConfig) -> Option<Finding> {
    let Some(TokenSource::File(path)) = source.tokens() else { return None };
    let webhook = match source.kind() {
        SourceKind::WebIdentity => "eks.amazonaws.com/serviceaccount/token",
        SourceKind::PodIdentity => "pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token",
    };
    let observed = || format!("{} is not the path that the EKS webhook injects (…/{webhook})", path.display());
    (!Path::new(&path).ends_with(webhook)).then(|| Finding::new(FindingId::EnvOwn, observed()))
}

/// The configured token files. They are checked if no source can be used.
pub(super) fn tokens(env: &Env, settings: &Settings) -> Vec<(SourceKind, TokenSource)> {
    let web_identity =
        settings.irsa.token_file.clone().or_else(|| get(env, env::WEB_IDENTITY_TOKEN_FILE).map(Into::into));
    let pod_identity = get(env, env::CONTAINER_TOKEN_FILE).map(Into::into);
    let files = [(SourceKind::WebIdentity, web_identity), (SourceKind::PodIdentity, pod_identity)];
    files.into_iter().filter_map(|(kind, file)| Some((kind, TokenSource::File(file?)))).collect()
}

/// Checks that do not depend on the source, and the choice between the sources.
pub(super) fn check(env: &Env, settings: &Settings, detected: Option<&Detected>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = detected.and_then(chosen).into_iter().collect();
    findings.extend(static_keys(env));
    findings.extend(not_read(env));
    findings.extend(detected.and_then(|detected| proxy(env, detected)));
    findings.extend(super::endpoint::regions(env, settings));
    findings.extend(flags(env));
    findings
}

/// Warns about switches with an invalid value. If the source depends on a switch, detection already returned an error.
fn flags(env: &Env) -> impl Iterator<Item = Finding> {
    let names = [env::USE_FIPS, env::USE_DUALSTACK, env::IGNORE_ENDPOINT_URLS];
    let problems = names.into_iter().filter_map(|name| env.flag(name).err());
    problems.map(|problem| Finding::of_setting(&problem).severity(Severity::Warning))
}

fn chosen(detected: &Detected) -> Option<Finding> {
    let detection = &detected.detection;
    let (used, preference) = (detection.source(), detection.preference());
    if detection.other().is_some() {
        let others = match used {
            SourceKind::WebIdentity => "other SDKs and the AWS CLI also use IRSA",
            SourceKind::PodIdentity => "other SDKs and the AWS CLI do not know this setting and use IRSA",
        };
        return Some(Finding::new(
            FindingId::EnvBoth,
            format!("{used} is used because of {preference}; {others}; {} was not checked", used.other()),
        ));
    }
    let Preference::Environment(chosen) = preference else { return None };
    let observed = || format!("{}={}, but that source is not configured; {used} is used", env::SOURCE, chosen.as_str());
    (chosen != used).then(|| {
        Finding::new(FindingId::SourceAbsent, observed())
            .expected(format!("the variables of {chosen}"))
            .remedy(format!("configure {chosen}, or remove {}", env::SOURCE))
    })
}

/// Checks only whether the variable is set. Its value is not shown.
fn static_keys(env: &Env) -> Option<Finding> {
    env.is_set(env::ACCESS_KEY_ID).then(|| {
        Finding::new(FindingId::StaticKeys, format!("{} is set (its value is not shown)", env::ACCESS_KEY_ID))
            .expected("no static keys in a pod")
            .remedy(
                "remove AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN from the container's env and \
                 from envFrom",
            )
    })
}

/// Variables that this crate does not read. If `AWS_ACCESS_KEY_ID` is set, [`static_keys`] reports the static keys
/// instead.
fn not_read(env: &Env) -> Option<Finding> {
    let keys = env.is_set(env::ACCESS_KEY_ID);
    let names: Vec<_> = env.not_read().filter(|name| !(keys && env::STATIC_KEYS.contains(name))).collect();
    (!names.is_empty())
        .then(|| Finding::new(FindingId::EnvNotRead, format!("these variables are set: {}", names.join(", "))))
}

/// Warns if other SDKs would send requests to the agent through a proxy. Not every SDK supports networks in `NO_PROXY`,
/// so the host itself must be listed.
fn proxy(env: &Env, detected: &Detected) -> Option<Finding> {
    let configs = std::iter::once(&detected.first).chain(detected.other.usable());
    let host = configs.into_iter().filter_map(container_host).next()?;
    let proxies = [env::HTTP_PROXY, "http_proxy", env::ALL_PROXY, "all_proxy"];
    let set = proxies.into_iter().find(|name| get(env, name).is_some())?;
    let exceptions = [env::NO_PROXY, "no_proxy"].into_iter().filter_map(|name| get(env, name));
    let exceptions = exceptions.collect::<Vec<_>>().join(",");
    let mut entries = exceptions.split(',').map(|entry| entry.trim().trim_matches(['[', ']']));
    if entries.any(|entry| entry == host || entry == "*") {
        return None;
    }
    let observed = format!("{set} is set (its value is not shown), and NO_PROXY does not contain {host}");
    Some(
        Finding::new(FindingId::ProxyAgent, observed)
            .expected(format!("{host} itself in NO_PROXY, because not every SDK supports networks in NO_PROXY"))
            .remedy(format!("add {host} to NO_PROXY and no_proxy")),
    )
}

/// The host as it is written in `NO_PROXY`.
fn container_host(config: &SourceConfig) -> Option<String> {
    match config {
        SourceConfig::PodIdentity(config) => {
            Some(config.endpoint.url().host().to_string().trim_matches(['[', ']']).to_owned())
        }
        SourceConfig::WebIdentity(_) => None,
    }
}
