//! The variables of both methods: whole, half, or none, and what else in the environment has a say.

use super::{Finding, FindingId};
use crate::detect::Settings;
use crate::env::{self, Env};
use crate::source::SourceKind;
use crate::token_file::TokenSource;
use crate::transport::HttpUrl;

/// Both variables of a method, as the builder or the environment has them.
struct Pair {
    kind: SourceKind,
    names: [&'static str; 2],
    values: [Option<String>; 2],
    /// How the path of the token ends that the webhook injects.
    webhook: &'static str,
}

impl Pair {
    fn is_whole(&self) -> bool {
        self.values.iter().all(Option::is_some)
    }

    fn is_half(&self) -> bool {
        !self.is_whole() && self.values.iter().any(Option::is_some)
    }

    /// `AWS_ROLE_ARN=… and AWS_WEB_IDENTITY_TOKEN_FILE=…`, those that are set.
    fn shown(&self) -> String {
        let set = self.names.iter().zip(&self.values);
        let set = set.filter_map(|(name, value)| Some(format!("{name}={}", env::without_password(value.as_ref()?))));
        set.collect::<Vec<_>>().join(" and ")
    }

    fn missing(&self) -> &'static str {
        let missing = self.names.iter().zip(&self.values).find(|(_, value)| value.is_none());
        missing.map_or("", |(name, _)| name)
    }
}

/// A value that is not UTF-8 counts as unset here; detection says what is wrong with it.
fn get(env: &Env, name: &str) -> Option<String> {
    env.get(name).ok().flatten().map(str::to_owned)
}

fn irsa(env: &Env, settings: &Settings) -> Pair {
    #[cfg(feature = "irsa")]
    let (role, file) = (settings.irsa.role_arn.clone(), settings.irsa.token_file.as_ref());
    #[cfg(feature = "irsa")]
    let file = file.map(|path| path.display().to_string());
    #[cfg(not(feature = "irsa"))]
    let (_, role, file) = (settings, None::<String>, None::<String>);
    Pair {
        kind: SourceKind::WebIdentity,
        names: [env::ROLE_ARN, env::WEB_IDENTITY_TOKEN_FILE],
        values: [role.or_else(|| get(env, env::ROLE_ARN)), file.or_else(|| get(env, env::WEB_IDENTITY_TOKEN_FILE))],
        webhook: "eks.amazonaws.com/serviceaccount/token",
    }
}

fn pod_identity(env: &Env) -> Pair {
    let token = get(env, env::CONTAINER_TOKEN_FILE);
    let uri = get(env, env::CONTAINER_RELATIVE_URI).or_else(|| get(env, env::CONTAINER_FULL_URI));
    Pair {
        kind: SourceKind::PodIdentity,
        names: [env::CONTAINER_FULL_URI, env::CONTAINER_TOKEN_FILE],
        values: [uri, token],
        webhook: "pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token",
    }
}

/// Other servers than the EKS agent may go without a token, or with one in a variable.
fn needs_no_file(env: &Env) -> bool {
    get(env, env::CONTAINER_RELATIVE_URI).is_some()
        || get(env, env::CONTAINER_TOKEN).is_some()
        || get(env, env::CONTAINER_FULL_URI)
            .is_some_and(|uri| !uri.contains("169.254.170.23") && !uri.contains("fd00:ec2::23"))
}

/// The token files that are configured, for a pod of which no method is whole.
pub(super) fn tokens(env: &Env, settings: &Settings) -> Vec<(SourceKind, TokenSource)> {
    let pairs = [irsa(env, settings), pod_identity(env)];
    let files = pairs.into_iter().filter_map(|pair| {
        let [_, file] = pair.values;
        Some((pair.kind, TokenSource::File(file?.into())))
    });
    files.collect()
}

pub(super) fn check(env: &Env, settings: &Settings) -> Vec<Finding> {
    let (irsa, agent) = (irsa(env, settings), pod_identity(env));
    let has_uri = agent.values.first().is_some_and(Option::is_some);
    let agent_serves = agent.is_whole() || (has_uri && needs_no_file(env));
    let mut findings = Vec::new();
    methods(&irsa, &agent, agent_serves, &mut findings);
    findings.extend(chosen(env, settings, irsa.is_whole(), agent_serves));
    findings.extend(static_keys(env));
    findings.extend(not_read(env));
    findings.extend(proxy(env, agent_serves));
    findings.extend(flags(env));
    findings.extend(super::endpoint::invalid(env, settings));
    findings
}

fn methods(irsa: &Pair, agent: &Pair, agent_serves: bool, findings: &mut Vec<Finding>) {
    let half = |pair: &Pair, id| {
        let observed = format!("{} is set, {} is not", pair.shown(), pair.missing());
        Finding::new(id, observed).expected(format!("both {}, or neither", pair.names.join(" and ")))
    };
    let served = irsa.is_whole() || agent_serves;
    let whole = [(irsa, irsa.is_whole()), (agent, agent_serves)];
    for (pair, _) in whole.iter().filter(|(_, serves)| *serves) {
        findings.push(Finding::new(FindingId::EnvOk, format!("{}: {}", pair.kind, pair.shown())));
        findings.extend(own(pair));
    }
    if irsa.is_half() {
        findings.push(half(irsa, if served { FindingId::EnvHalf } else { FindingId::EnvIrsaHalf }));
    }
    if agent.is_half() && !agent_serves {
        findings.push(half(agent, if served { FindingId::EnvHalf } else { FindingId::EnvPodIdentityHalf }));
    }
    if !served && !irsa.is_half() && !agent.is_half() {
        let observed = format!(
            "none of {}, {}, {} and {} is set",
            env::ROLE_ARN,
            env::WEB_IDENTITY_TOKEN_FILE,
            env::CONTAINER_FULL_URI,
            env::CONTAINER_TOKEN_FILE
        );
        let expected = "the first two (IRSA) or the last two (EKS Pod Identity), set by the EKS webhook when the pod was \
                        created; without them other SDKs fall back to the node's role";
        findings.push(Finding::new(FindingId::EnvNone, observed).expected(expected));
    }
}

/// Who has set them: the webhook's paths are known.
fn own(pair: &Pair) -> Option<Finding> {
    let file = pair.values.last()?.as_ref()?;
    let by_webhook = std::path::Path::new(file).ends_with(pair.webhook);
    let observed = || format!("{file} is not the path that the EKS webhook injects (…/{})", pair.webhook);
    (!by_webhook).then(|| Finding::new(FindingId::EnvOwn, observed()))
}

fn chosen(env: &Env, settings: &Settings, irsa: bool, agent: bool) -> Option<Finding> {
    let named = match env.get(env::SOURCE) {
        Ok(named) => named,
        Err(error) => return Some(Finding::new(FindingId::EnvSource, error.to_string())),
    };
    let preferred = match named {
        Some("irsa") => Some(SourceKind::WebIdentity),
        Some("pod-identity") => Some(SourceKind::PodIdentity),
        Some("auto") => None,
        None => settings.prefer,
        Some(other) => {
            let observed = format!("{}=\"{other}\"", env::SOURCE);
            return Some(Finding::new(FindingId::EnvSource, observed).expected("irsa, pod-identity or auto"));
        }
    };
    if irsa && agent {
        let (serves, why) = match (preferred, named) {
            (Some(kind), Some(_)) => (kind, format!("{} says so", env::SOURCE)),
            (Some(kind), None) => (kind, "the builder prefers it".to_owned()),
            (None, _) => (SourceKind::WebIdentity, "it comes first in every AWS SDK".to_owned()),
        };
        return Some(Finding::new(FindingId::EnvBoth, format!("{serves} serves, because {why}")));
    }
    let absent = match (preferred, named) {
        (Some(SourceKind::WebIdentity), Some(_)) => agent && !irsa,
        (Some(SourceKind::PodIdentity), Some(_)) => irsa && !agent,
        _ => false,
    };
    let observed = format!("{}={}, of which no variable is set; the other method serves", env::SOURCE, named?);
    absent.then(|| Finding::new(FindingId::EnvSourceAbsent, observed).expected("the variables of the chosen method"))
}

/// Only whether it is there.
fn static_keys(env: &Env) -> Option<Finding> {
    let observed = format!("{} is set (its value is not shown)", env::ACCESS_KEY_ID);
    let finding = || Finding::new(FindingId::StaticKeys, observed).expected("no static keys in a pod");
    env.is_set(env::ACCESS_KEY_ID).then(finding)
}

/// Static keys that are complete have a finding of their own.
fn not_read(env: &Env) -> Option<Finding> {
    let keys = env.is_set(env::ACCESS_KEY_ID);
    let names: Vec<_> = env.not_read().filter(|name| !(keys && env::STATIC_KEYS.contains(name))).collect();
    (!names.is_empty()).then(|| Finding::new(FindingId::EnvNotRead, format!("set: {}", names.join(", "))))
}

fn proxy(env: &Env, agent_serves: bool) -> Option<Finding> {
    let proxies = [env::HTTP_PROXY, "http_proxy", env::ALL_PROXY, "all_proxy"];
    let set = proxies.into_iter().find(|name| get(env, name).is_some()).filter(|_| agent_serves)?;
    let uri = get(env, env::CONTAINER_FULL_URI)?;
    let host = HttpUrl::parse(&uri).ok()?.host().to_string().trim_matches(['[', ']']).to_owned();
    let exceptions = [env::NO_PROXY, "no_proxy"].into_iter().filter_map(|name| get(env, name));
    let exceptions = exceptions.collect::<Vec<_>>().join(",");
    let mut entries = exceptions.split(',').map(|entry| entry.trim().trim_matches(['[', ']']));
    if entries.any(|entry| entry == host || entry == "*") {
        return None;
    }
    let observed = format!("{set} is set (its value is not shown), and NO_PROXY does not name {host}");
    let expected = format!("{host} in NO_PROXY, itself: not every SDK understands networks there");
    Some(Finding::new(FindingId::ProxyAgent, observed).expected(expected))
}

fn flags(env: &Env) -> impl Iterator<Item = Finding> {
    let flags = [env::USE_FIPS, env::USE_DUALSTACK, env::IGNORE_ENDPOINT_URLS];
    flags.into_iter().filter_map(|name| {
        let error = env.flag(name).err()?;
        Some(Finding::new(FindingId::EnvFlag, error.to_string()).expected("true or false"))
    })
}
