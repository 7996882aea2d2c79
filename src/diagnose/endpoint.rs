//! Checks of the region and of the endpoints that need no request.

use super::{Finding, FindingId, Severity};
use crate::env::region;
use crate::env::{self, Env};
use crate::source::SourceConfig;
use crate::source::settings::Settings;
use crate::source::web_identity::WebIdentityConfig;
use crate::source::web_identity::sts_endpoint::{self, Origin};
use crate::transport::HttpUrl;

/// Compares the two region variables, which matter with either source.
pub(super) fn regions(env: &Env, settings: &Settings) -> Option<Finding> {
    let get = |name| env.get(name).ok().flatten();
    let (region, default) = (get(env::REGION)?, get(env::DEFAULT_REGION)?);
    (region != default && settings.region.is_none()).then(|| {
        Finding::new(FindingId::RegionMismatch, format!("{}={region}, {}={default}", env::REGION, env::DEFAULT_REGION))
            .expected("the same region in both")
            .remedy(format!("set both to the same region, or remove {}", env::DEFAULT_REGION))
    })
}

/// Checks the region and the endpoint of the source that is used.
pub(super) fn check(env: &Env, settings: &Settings, config: &SourceConfig, findings: &mut Vec<Finding>) {
    match config {
        SourceConfig::WebIdentity(config) => findings.extend(sts(env, settings, config)),
        SourceConfig::PodIdentity(config) => {
            if !config.endpoint.is_eks_agent() {
                let (url, setting) = (config.endpoint.url(), config.endpoint.setting());
                let observed = format!(
                    "{setting} is {url}; the URI of the EKS Pod Identity agent is http://169.254.170.23/v1/credentials \
                     or http://[fd00:ec2::23]/v1/credentials"
                );
                findings.push(Finding::new(FindingId::ContainerOther, observed));
            }
        }
    }
    // The source does not need the region. Otherwise, detection would have returned an error.
    let missing = || {
        Finding::new(FindingId::RegionNone, format!("neither {} nor {} is set", env::REGION, env::DEFAULT_REGION))
            .severity(Severity::Warning)
            .expected("a region such as eu-central-1")
            .remedy(format!("set {} in the container's env to the cluster's region", env::REGION))
    };
    match region::region(env, settings.region.as_deref()) {
        Ok(Some(_)) => {}
        Ok(None) => findings.push(missing()),
        Err(problem) => findings.push(
            Finding::new(FindingId::RegionOther, problem.observed()).expected("a region such as eu-central-1").remedy(
                format!(
                    "{}, unless it is the region of an S3-compatible store, which may have any name. This is only a \
                     warning because EKS Pod Identity does not need a region. IRSA does",
                    problem.remedy()
                ),
            ),
        ),
    }
}

const FIPS_REGIONS: [&str; 4] = ["us-east-1", "us-east-2", "us-west-1", "us-west-2"];

fn sts(env: &Env, settings: &Settings, config: &WebIdentityConfig) -> Vec<Finding> {
    let url = &config.endpoint.url;
    let region = match &config.endpoint.origin {
        Origin::Region(region) => region,
        Origin::Setting(setting) => return overridden(env, settings, url, setting),
    };
    let fips = env.flag(env::USE_FIPS).unwrap_or_default();
    if fips && !FIPS_REGIONS.contains(&region.as_str()) && !region.as_str().starts_with("us-gov-") {
        let observed = format!("{}=true, so STS is called at {url}", env::USE_FIPS);
        let finding = Finding::new(FindingId::StsFips, observed).expected("a region in which STS has a FIPS endpoint");
        return vec![finding.remedy(format!(
            "set {} to false, or use a region with such an endpoint: us-east-1, us-east-2, us-west-1, us-west-2 or \
             GovCloud",
            env::USE_FIPS
        ))];
    }
    vec![Finding::new(FindingId::StsEndpointOk, url.to_string())]
}

fn overridden(env: &Env, settings: &Settings, url: &HttpUrl, setting: &str) -> Vec<Finding> {
    let region = region::region(env, settings.region.as_deref()).ok().flatten();
    let regional = region.and_then(|region| sts_endpoint::regional(&region, false, false).ok());
    if regional.as_ref() == Some(url) {
        return vec![Finding::new(FindingId::StsEndpointOk, format!("{url}, set by {setting}"))];
    }
    let instead = regional.map_or_else(|| "the region's endpoint".to_owned(), |url| url.to_string());
    let mut findings = vec![Finding::new(
        FindingId::StsOverride,
        format!("{setting} is {url}; without it, STS would be called at {instead}"),
    )];
    if sts_endpoint::is_clear_text(url) {
        findings.push(
            Finding::new(FindingId::StsClearText, format!("{setting} is {url}"))
                .expected("an https URL")
                .remedy(format!("use an https URL for {setting}")),
        );
    }
    findings
}
