//! The STS endpoint: a configured URL, or the endpoint of the region with FIPS and dual-stack. See "2.4 STS: endpoints and
//! region" in `docs::protocols`.
//!
//! The rules are those of the AWS SDKs. A test compares them with the endpoint rules of `aws-sdk-sts` for every region. The
//! global endpoint is never used, because [AWS recommends the regional ones][regional]. For Regions that are not enabled by
//! default, the global endpoint is served from US East (N. Virginia), so an outage there would stop pods in other Regions.
//!
//! [regional]: https://docs.aws.amazon.com/sdkref/latest/guide/feature-sts-regionalized-endpoints.html

use crate::env::partition::Partition;
use crate::env::region::{self, Region};
use crate::env::{self, Env};
use crate::error::problem::peer::{Peer, Server, Trust};
use crate::error::problem::setting::Setting;
use crate::transport::{Host, HttpUrl, HttpsSettings};

const BUILDER: &str = "the sts_endpoint given to the builder";

/// Determines the endpoint. The first of these is used: the builder's setting, `AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL`, the
/// endpoint of the region.
///
/// # Errors
///
/// If an endpoint is configured together with `AWS_USE_FIPS_ENDPOINT` or `AWS_USE_DUALSTACK_ENDPOINT`. These variables select
/// one of AWS's own endpoints, so they would have no effect. The endpoint rules of the SDKs return the same error.
pub(crate) fn resolve(env: &Env, builder: Option<&str>, region: Option<&str>) -> Result<StsEndpoint, Setting> {
    if let Some((setting, url)) = configured_url(env, builder)? {
        let url = parse_override(setting, url)?;
        for switch in [env::USE_FIPS, env::USE_DUALSTACK] {
            // An invalid value does not select an endpoint.
            if matches!(env.flag(switch), Ok(true)) {
                return Err(Setting::StsUrlAndSwitch { setting, url: url.to_string(), switch });
            }
        }
        return Ok(StsEndpoint { url, origin: Origin::Setting(setting) });
    }
    let region = region::region(env, region)?.ok_or(Setting::NoRegion { needed_for: "the STS endpoint of IRSA" })?;
    let url = regional(&region, env.flag(env::USE_FIPS)?, env.flag(env::USE_DUALSTACK)?)?;
    Ok(StsEndpoint { url, origin: Origin::Region(region) })
}

/// The STS endpoint, and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct StsEndpoint {
    pub(crate) url: HttpUrl,
    pub(crate) origin: Origin,
}

/// Where the URL of an endpoint comes from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// The setting or variable that contains it.
    Setting(&'static str),
    /// The region that it is derived from.
    Region(Region),
}

impl StsEndpoint {
    /// The region that the URL is derived from, if it is not configured itself.
    pub(crate) fn region(&self) -> Option<&Region> {
        match &self.origin {
            Origin::Region(region) => Some(region),
            Origin::Setting(_) => None,
        }
    }

    /// The server as error messages describe it. `https` is `None` if the program supplies the HTTP client, whose proxy and
    /// trusted roots are not known.
    pub(crate) fn peer(&self, https: Option<&HttpsSettings>) -> Peer {
        let setting = match self.origin {
            Origin::Setting(setting) => Some(setting),
            Origin::Region(_) => None,
        };
        let peer = Peer::new(Server::Sts, self.url.origin(), setting);
        match https {
            Some(https) => https.route_to(peer, &self.url),
            None => Peer { trust: Trust::GivenClient, ..peer },
        }
    }
}

/// Whether an endpoint is configured, valid or not.
pub(crate) fn is_configured(env: &Env, builder: Option<&str>) -> Result<bool, Setting> {
    configured_url(env, builder).map(|found| found.is_some())
}

/// The setting or variable that configures the endpoint, and its value.
fn configured_url<'a>(env: &'a Env, builder: Option<&'a str>) -> Result<Option<(&'static str, &'a str)>, Setting> {
    match builder {
        Some(url) => Ok(Some((BUILDER, url))),
        None if env.flag(env::IGNORE_ENDPOINT_URLS)? => Ok(None),
        None => env.first_of(&[env::ENDPOINT_URL_STS, env::ENDPOINT_URL]),
    }
}

/// Whether a request to `url` sends the token over the network in clear text.
pub(crate) fn is_clear_text(url: &HttpUrl) -> bool {
    let is_local = match url.host() {
        Host::Address(ip) => ip.is_loopback(),
        Host::Name(name) => name == "localhost",
    };
    !url.is_https() && !is_local
}

/// The endpoint of `region`, by the endpoint rules of the SDKs.
pub(crate) fn regional(region: &Region, fips: bool, dual_stack: bool) -> Result<HttpUrl, Setting> {
    let partition = Partition::of(region);
    // In GovCloud the host without `-fips` is the FIPS endpoint.
    let plain_is_fips = partition.id == "aws-us-gov" && !dual_stack;
    let service = if fips && !plain_is_fips { "sts-fips" } else { "sts" };
    let suffix = if dual_stack { partition.dual_stack_suffix } else { partition.suffix };
    HttpUrl::parse(&format!("https://{service}.{region}.{suffix}/")).map_err(|_| Setting::Region {
        setting: env::REGION,
        value: region.to_string(),
        meant: None,
    })
}

/// Parses the URL given to the builder.
pub(crate) fn configured(url: &str) -> Result<HttpUrl, Setting> {
    parse_override(BUILDER, url)
}

fn parse_override(setting: &'static str, value: &str) -> Result<HttpUrl, Setting> {
    let shown = crate::variable::without_password(value).to_owned();
    HttpUrl::parse(value).map_err(|why| Setting::StsUrl { setting, shown, why: why.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(vars: &[(&str, &str)]) -> Result<String, String> {
        let env = Env::from_os(vars.iter().map(|(name, value)| (name.into(), value.into())));
        resolve(&env, None, None).map(|endpoint| endpoint.url.to_string()).map_err(|e| e.observed())
    }

    /// Compares every region of every partition with the endpoint rules of the SDK's STS client.
    #[tokio::test]
    async fn sts_endpoint_equals_that_of_the_sdk_in_every_region() {
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
                let ours = regional(&Region::parse(env::REGION, region).unwrap(), fips, dual_stack).unwrap();
                assert_eq!(ours.to_string(), format!("{}/", expected.url()), "fips {fips}, dual-stack {dual_stack}");
            }
        }
    }

    #[test]
    fn sts_endpoint_prefers_builder_then_sts_url_then_general_url() {
        let region = (env::REGION, "eu-central-1");
        let all = (env::ENDPOINT_URL, "http://localhost:4566");
        let sts = (env::ENDPOINT_URL_STS, "http://localhost:1");
        let ignore = (env::IGNORE_ENDPOINT_URLS, "true");
        assert_eq!(resolved(&[region]).unwrap(), "https://sts.eu-central-1.amazonaws.com/");
        assert_eq!(resolved(&[region, all]).unwrap(), "http://localhost:4566/");
        assert_eq!(resolved(&[region, all, sts]).unwrap(), "http://localhost:1/");
        assert_eq!(resolved(&[region, all, sts, ignore]).unwrap(), "https://sts.eu-central-1.amazonaws.com/");
        let env = Env::from([sts]);
        assert_eq!(resolve(&env, Some("http://b"), None).unwrap().url.to_string(), "http://b/");
    }

    #[test]
    fn sts_endpoint_from_a_setting_excludes_fips_and_dual_stack() {
        let region = (env::REGION, "us-east-1");
        for switch in [env::USE_FIPS, env::USE_DUALSTACK] {
            assert!(resolved(&[region, (switch, "true")]).is_ok());
            for name in [env::ENDPOINT_URL_STS, env::ENDPOINT_URL] {
                let url = (name, "https://sts.example");
                let message = resolved(&[region, url, (switch, "true")]).unwrap_err();
                let expected = [switch, name, "https://sts.example/"];
                assert!(expected.iter().all(|part| message.contains(part)), "{message}");
                assert!(resolved(&[region, url, (switch, "false")]).is_ok());
                assert!(resolved(&[region, url, (switch, "true"), (env::IGNORE_ENDPOINT_URLS, "true")]).is_ok());
            }
            let env = Env::from([region, (switch, "true")]);
            assert!(resolve(&env, Some("https://sts.example"), None).is_err());
        }
    }

    #[test]
    fn sts_endpoint_is_clear_text_over_http_to_other_hosts() {
        for (url, expected) in [
            ("https://sts.example", false),
            ("http://sts.example", true),
            ("http://10.0.0.1", true),
            ("http://[fd00::1]:8080", true),
            ("http://localhost:4566", false),
            ("http://sts.localhost", true),
            ("http://notlocalhost", true),
            ("http://127.0.0.2", false),
            ("http://[::1]", false),
        ] {
            assert_eq!(is_clear_text(&HttpUrl::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn sts_endpoint_without_a_region_is_an_error() {
        assert!(resolved(&[]).unwrap_err().starts_with("no region is configured"));
    }

    #[test]
    fn sts_endpoint_that_is_not_a_url_is_refused_with_its_value() {
        for url in ["localhost:4566", "ftp://x", "sts", "https://sts`.example"] {
            let message = resolved(&[(env::ENDPOINT_URL_STS, url)]).unwrap_err();
            assert!(message.contains(url) && message.starts_with("AWS_ENDPOINT_URL_STS"), "{message}");
        }
        let message = resolved(&[(env::ENDPOINT_URL_STS, "https://user:hunter2@x")]).unwrap_err();
        assert!(!message.contains("hunter2"), "{message}");
    }
}
