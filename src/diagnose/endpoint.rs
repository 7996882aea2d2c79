//! Role, region, and where is asked: what can be said of them before anything is sent.

use super::{Finding, FindingId};
use crate::detect::{Settings, SourceConfig};
use crate::env::{self, Env};
use crate::error::Error;
use crate::region;

/// What keeps a method from being used at all.
pub(super) fn invalid(env: &Env, settings: &Settings) -> Vec<Finding> {
    let mut findings: Vec<Finding> = [mismatch(env), agent_uri(env)].into_iter().flatten().collect();
    findings.extend(region(env, settings));
    #[cfg(feature = "irsa")]
    findings.extend(sts::invalid(env, settings));
    findings
}

fn region(env: &Env, settings: &Settings) -> Option<Finding> {
    let error = region::region(env, settings.region.as_deref()).err()?;
    let id = if sts::needs_region(env, settings) { FindingId::Region } else { FindingId::RegionOther };
    let configured = region::configured(env, settings.region.as_deref()).ok().flatten();
    let expected = configured.and_then(|(_, region)| region::probably_meant(region)).map_or_else(
        || "a region such as eu-central-1".to_owned(),
        |meant| format!("probably {meant}: an availability zone is not a region, and regions are in lower case"),
    );
    Some(because(id, &error, &expected))
}

fn because(id: FindingId, error: &Error, expected: &str) -> Finding {
    Finding::new(id, error.to_string()).expected(expected)
}

fn mismatch(env: &Env) -> Option<Finding> {
    let get = |name| env.get(name).ok().flatten();
    let (region, default) = (get(env::REGION)?, get(env::DEFAULT_REGION)?);
    let observed = || format!("{}={region}, {}={default}", env::REGION, env::DEFAULT_REGION);
    (region != default).then(|| Finding::new(FindingId::RegionMismatch, observed()).expected("the same region in both"))
}

#[cfg(feature = "pod-identity")]
fn agent_uri(env: &Env) -> Option<Finding> {
    use crate::source::container_endpoint::ContainerEndpoint;
    let get = |name| env.get(name).ok().flatten();
    let parsed = match get(env::CONTAINER_RELATIVE_URI) {
        Some(path) => ContainerEndpoint::relative(path),
        None => ContainerEndpoint::full(get(env::CONTAINER_FULL_URI)?),
    };
    let expected = "http://169.254.170.23/v1/credentials, or http://[fd00:ec2::23]/v1/credentials on an IPv6 cluster";
    Some(because(FindingId::AgentUri, &parsed.err()?, expected))
}

#[cfg(not(feature = "pod-identity"))]
fn agent_uri(_: &Env) -> Option<Finding> {
    None
}

/// What is worth knowing of the method that serves.
pub(super) fn check(env: &Env, settings: &Settings, config: &SourceConfig, findings: &mut Vec<Finding>) {
    match config {
        #[cfg(feature = "irsa")]
        SourceConfig::WebIdentity(config) => findings.extend(sts::check(env, settings, config)),
        #[cfg(feature = "pod-identity")]
        SourceConfig::PodIdentity(config) => {
            if !config.endpoint.is_eks_agent() {
                let url = config.endpoint.url();
                findings
                    .push(Finding::new(FindingId::AgentOther, format!("{url}, not 169.254.170.23 or fd00:ec2::23")));
            }
            if let Ok(None) = region::region(env, settings.region.as_deref()) {
                let observed = format!("neither {} nor {} is set", env::REGION, env::DEFAULT_REGION);
                findings
                    .push(Finding::new(FindingId::RegionMissing, observed).expected("a region such as eu-central-1"));
            }
        }
    }
}

#[cfg(not(feature = "irsa"))]
mod sts {
    use crate::detect::Settings;
    use crate::env::Env;

    pub(super) fn needs_region(_: &Env, _: &Settings) -> bool {
        false
    }
}

#[cfg(feature = "irsa")]
mod sts {
    use super::{Finding, FindingId, because};
    use crate::detect::Settings;
    use crate::env::{self, Env};
    use crate::region;
    use crate::source::role_arn::RoleArn;
    use crate::source::sts_endpoint;
    use crate::source::web_identity::WebIdentityConfig;

    const FIPS_REGIONS: [&str; 4] = ["us-east-1", "us-east-2", "us-west-1", "us-west-2"];

    /// The role, if IRSA is configured.
    fn role<'a>(env: &'a Env, settings: &'a Settings) -> Option<&'a str> {
        let irsa = &settings.irsa;
        let get = |name| env.get(name).ok().flatten();
        let has_token = irsa.token_file.is_some() || get(env::WEB_IDENTITY_TOKEN_FILE).is_some();
        irsa.role_arn.as_deref().or_else(|| get(env::ROLE_ARN)).filter(|_| has_token)
    }

    /// Whether IRSA cannot do without a valid region: its endpoint would be derived from it.
    pub(super) fn needs_region(env: &Env, settings: &Settings) -> bool {
        let endpoint = sts_endpoint::resolve(env, settings.irsa.sts_endpoint.as_deref(), settings.region.as_deref());
        role(env, settings).is_some() && endpoint.is_err()
    }

    pub(super) fn invalid(env: &Env, settings: &Settings) -> Vec<Finding> {
        let irsa = &settings.irsa;
        let Some(role) = role(env, settings) else { return Vec::new() };
        let mut findings = Vec::new();
        let region = region::region(env, settings.region.as_deref());
        let other_sts = sts_endpoint::is_configured(env, irsa.sts_endpoint.as_deref()).unwrap_or_default();
        match (RoleArn::of_aws(role), &region) {
            (None, _) if other_sts && RoleArn::of_any_sts(role).is_some() => {}
            (None, _) => {
                let observed = format!("{}={}", env::ROLE_ARN, shown(role));
                let expected = "arn:aws:iam::<12-digit account>:role/<name>";
                findings.push(Finding::new(FindingId::RoleArn, observed).expected(expected));
            }
            (Some(_), Ok(Some(region))) => findings.extend(partition(role, region)),
            (Some(_), _) => {}
        }
        if let Err(error) = sts_endpoint::resolve(env, irsa.sts_endpoint.as_deref(), settings.region.as_deref()) {
            match region {
                Ok(None) => findings.push(because(FindingId::RegionNone, &error, "the cluster's region")),
                Ok(Some(_)) if flags_are_valid(env) => {
                    findings.push(because(
                        FindingId::StsEndpoint,
                        &error,
                        "no configured endpoint, or a valid URL with both switches off",
                    ));
                }
                // Said already.
                _ => {}
            }
        }
        findings
    }

    fn shown(role: &str) -> String {
        env::without_password(role).chars().take(200).collect()
    }

    fn flags_are_valid(env: &Env) -> bool {
        [env::USE_FIPS, env::USE_DUALSTACK, env::IGNORE_ENDPOINT_URLS].into_iter().all(|name| env.flag(name).is_ok())
    }

    fn partition(role: &str, region: &str) -> Option<Finding> {
        let (theirs, ours) = (role.split(':').nth(1)?, sts_endpoint::partition_of(region));
        let observed = format!("{}, and the region {region}, which is in the partition {ours}", shown(role));
        let expected = format!("arn:{ours}:iam::…");
        (theirs != ours).then(|| Finding::new(FindingId::RolePartition, observed).expected(expected))
    }

    pub(super) fn check(env: &Env, settings: &Settings, config: &WebIdentityConfig) -> Vec<Finding> {
        let region = region::region(env, settings.region.as_deref()).ok().flatten();
        let [fips, dual_stack] = [env::USE_FIPS, env::USE_DUALSTACK].map(|name| env.flag(name).unwrap_or_default());
        let regional = region.as_deref().and_then(|region| sts_endpoint::regional(region, fips, dual_stack).ok());
        if regional.as_ref() != Some(&config.endpoint) {
            let instead = regional.map_or_else(|| "the region's endpoint".to_owned(), |url| url.to_string());
            let observed = format!("{} instead of {instead}", config.endpoint);
            let clear_text = sts_endpoint::is_clear_text(&config.endpoint)
                .then(|| Finding::new(FindingId::StsClearText, config.endpoint.to_string()).expected("an https URL"));
            return [Some(Finding::new(FindingId::StsOverride, observed)), clear_text].into_iter().flatten().collect();
        }
        let region = region.unwrap_or_default();
        if fips && !FIPS_REGIONS.contains(&region.as_str()) && !region.starts_with("us-gov-") {
            let observed = format!("{}=true, so STS is asked at {}", env::USE_FIPS, config.endpoint);
            return vec![Finding::new(FindingId::StsFips, observed).expected("a region with a FIPS endpoint of STS")];
        }
        vec![Finding::new(FindingId::StsEndpointOk, config.endpoint.to_string())]
    }
}
