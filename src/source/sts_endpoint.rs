//! Region × FIPS × dual-stack → the regional STS endpoint, by the rules of the AWS SDKs' endpoint rule set.
//!
//! Never the global endpoint: it is one region's outage away from everybody, and AWS advises against it. Tested against
//! the rule set in `aws-sdk-sts` itself.

use crate::env::{self, Env};
use crate::error::Error;
use crate::region;
use crate::transport::{HttpUrl, UrlError};

/// One AWS partition: which regions it has and under which domains.
struct Partition {
    #[cfg_attr(not(feature = "diagnose"), expect(dead_code, reason = "only a diagnosis compares it"))]
    id: &'static str,
    region_prefix: &'static str,
    suffix: &'static str,
    dual_stack_suffix: &'static str,
}

impl Partition {
    const fn new(
        id: &'static str,
        region_prefix: &'static str,
        suffix: &'static str,
        dual_stack_suffix: &'static str,
    ) -> Self {
        Self { id, region_prefix, suffix, dual_stack_suffix }
    }
}

/// More specific prefixes first: `us-gov-`, `us-iso…-` before `us-`.
const PARTITIONS: [Partition; 8] = [
    Partition::new("aws-us-gov", "us-gov-", "amazonaws.com", "api.aws"),
    Partition::new("aws-iso", "us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    Partition::new("aws-iso-b", "us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    Partition::new("aws-iso-f", "us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    Partition::new("aws-iso-e", "eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    Partition::new("aws-cn", "cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    Partition::new("aws-eusc", "eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    Partition::new("aws", "", "amazonaws.com", "api.aws"),
];

/// `aws`, `aws-cn`, …: where a region's roles are.
#[cfg(feature = "diagnose")]
pub(crate) fn partition_of(region: &str) -> &'static str {
    PARTITIONS.iter().find(|partition| region.starts_with(partition.region_prefix)).map_or("aws", |found| found.id)
}

/// The URL to post to, by the order of PROTOCOLS: builder, `AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL`, region rules.
pub(crate) fn resolve(env: &Env, configured: Option<&str>, region: Option<&str>) -> Result<HttpUrl, Error> {
    if let Some(url) = configured {
        return self::configured(url);
    }
    if !env.flag(env::IGNORE_ENDPOINT_URLS)?
        && let Some((name, url)) = env.first_of(&[env::ENDPOINT_URL_STS, env::ENDPOINT_URL])?
    {
        return parse_override(name, url);
    }
    let region = region::region(env, region)?.ok_or_else(|| {
        Error::invalid(format!(
            "IRSA needs a region for its STS endpoint: set {} (the EKS webhook sets it when the container does not), \
             or give region(..) to the builder",
            env::REGION
        ))
    })?;
    regional(&region, env.flag(env::USE_FIPS)?, env.flag(env::USE_DUALSTACK)?)
}

/// The host of `region`, as the SDKs' endpoint rules have it.
pub(crate) fn regional(region: &str, fips: bool, dual_stack: bool) -> Result<HttpUrl, Error> {
    let partition = PARTITIONS.iter().find(|p| region.starts_with(p.region_prefix));
    let Some(partition) = partition else {
        return Err(Error::invalid(format!("no AWS partition has the region \"{region}\"")));
    };
    // GovCloud's plain endpoints are the FIPS ones.
    let plain_is_fips = region.starts_with("us-gov-") && !dual_stack;
    let service = if fips && !plain_is_fips { "sts-fips" } else { "sts" };
    let suffix = if dual_stack { partition.dual_stack_suffix } else { partition.suffix };
    let url = format!("https://{service}.{region}.{suffix}/");
    HttpUrl::parse(&url).map_err(|why| Error::invalid(format!("{url} {why}")))
}

/// The URL given to the builder.
pub(crate) fn configured(url: &str) -> Result<HttpUrl, Error> {
    parse_override("the sts_endpoint given to the builder", url)
}

fn parse_override(name: &str, value: &str) -> Result<HttpUrl, Error> {
    let shown = env::without_password(value);
    HttpUrl::parse(value).map_err(|why| match why {
        UrlError::UserInfo => Error::invalid(format!("{name} {why}")),
        _ => Error::invalid(format!("{name}: \"{shown}\" {why}; expected e.g. https://sts.example.com")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(vars: &[(&str, &str)]) -> Result<String, String> {
        let env = Env::from_os(vars.iter().map(|(name, value)| (name.into(), value.into())));
        resolve(&env, None, None).map(|url| url.to_string()).map_err(|e| e.to_string())
    }

    /// Every region of every partition, against the rule set in the SDK's own STS client.
    #[tokio::test]
    async fn the_sdks_own_resolver_is_the_oracle() {
        use aws_sdk_sts::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
        let oracle = DefaultResolver::new();
        let regions = "af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 \
                       ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 \
                       ap-southeast-7 ca-central-1 ca-west-1 eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 \
                       eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 mx-central-1 sa-east-1 us-east-1 \
                       us-east-2 us-west-1 us-west-2 cn-north-1 cn-northwest-1 eusc-de-east-1 us-iso-east-1 us-iso-west-1 \
                       us-isob-east-1 us-isob-west-1 eu-isoe-west-1 us-isof-east-1 us-isof-south-1 us-gov-east-1 \
                       us-gov-west-1 xx-future-1";
        for region in regions.split_whitespace() {
            for (fips, dual_stack) in [(false, false), (true, false), (false, true), (true, true)] {
                let params = Params::builder().region(region).use_fips(fips).use_dual_stack(dual_stack);
                let params = params.use_global_endpoint(false).build().unwrap();
                let expected = oracle.resolve_endpoint(&params).await.unwrap();
                let ours = regional(region, fips, dual_stack).unwrap();
                assert_eq!(ours.to_string(), format!("{}/", expected.url()), "fips {fips}, dual-stack {dual_stack}");
            }
        }
    }

    #[test]
    fn order_of_the_overrides() {
        let region = (env::REGION, "eu-central-1");
        let all = (env::ENDPOINT_URL, "http://localhost:4566");
        let sts = (env::ENDPOINT_URL_STS, "http://localhost:1");
        let ignore = (env::IGNORE_ENDPOINT_URLS, "true");
        assert_eq!(resolved(&[region]).unwrap(), "https://sts.eu-central-1.amazonaws.com/");
        assert_eq!(resolved(&[region, all]).unwrap(), "http://localhost:4566/");
        assert_eq!(resolved(&[region, all, sts]).unwrap(), "http://localhost:1/");
        assert_eq!(resolved(&[region, all, sts, ignore]).unwrap(), "https://sts.eu-central-1.amazonaws.com/");
        let env = Env::from([sts]);
        assert_eq!(resolve(&env, Some("http://b"), None).unwrap().to_string(), "http://b/");
    }

    #[test]
    fn no_region_is_an_error_that_says_so() {
        assert!(resolved(&[]).unwrap_err().starts_with("IRSA needs a region"));
    }

    #[test]
    fn what_is_no_url_is_refused_with_its_value() {
        for url in ["localhost:4566", "ftp://x", "sts", "https://sts`.example"] {
            let message = resolved(&[(env::ENDPOINT_URL_STS, url)]).unwrap_err();
            assert!(message.contains(url) && message.starts_with("AWS_ENDPOINT_URL_STS"), "{message}");
        }
        let message = resolved(&[(env::ENDPOINT_URL_STS, "https://user:hunter2@x")]).unwrap_err();
        assert!(!message.contains("hunter2"), "{message}");
    }
}
