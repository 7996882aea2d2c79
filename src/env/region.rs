//! The configured region, for STS and for the configuration of SDK clients.

use std::fmt;

use crate::env::{self, Env};
use crate::error::problem::setting::Setting;

/// The configured region, and the setting that contains it. The first of these is used: the builder's setting, `AWS_REGION`,
/// `AWS_DEFAULT_REGION`. The region is not validated here, because S3-compatible stores have regions such as `garage` and `auto`.
pub(crate) fn configured<'a>(
    env: &'a Env,
    builder: Option<&'a str>,
) -> Result<Option<(&'static str, &'a str)>, Setting> {
    const BUILDER: &str = "the region given to the builder";
    match builder {
        None => env.first_of(&[env::REGION, env::DEFAULT_REGION]),
        Some(region) if region.trim().is_empty() => {
            Err(Setting::Region { setting: BUILDER, value: String::new(), meant: None })
        }
        Some(region) => Ok(Some((BUILDER, region))),
    }
}

/// A region of AWS. Its name becomes a part of host names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region(String);

impl Region {
    /// Parses the name of a region. Every region of AWS ends with a digit. Availability zones (`eu-central-1a`) and names for the
    /// global endpoint (`aws-global`) do not, and are refused. `setting` is the setting or variable that contains the region.
    pub(crate) fn parse(setting: &'static str, name: &str) -> Result<Self, Setting> {
        match is_region(name) {
            true => Ok(Self(name.to_owned())),
            false => Err(Setting::Region { setting, value: name.to_owned(), meant: probably_meant(name) }),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The configured region, validated, for the host name of an AWS endpoint.
pub(crate) fn region(env: &Env, builder: Option<&str>) -> Result<Option<Region>, Setting> {
    configured(env, builder)?.map(|(setting, name)| Region::parse(setting, name)).transpose()
}

fn is_region(region: &str) -> bool {
    let label = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    region.len() <= 63
        && region.split('-').count() >= 3
        && region.split('-').all(label)
        && region.ends_with(|c: char| c.is_ascii_digit())
}

/// The region that an invalid name probably means: the region of an availability zone, or the name in lower case.
fn probably_meant(region: &str) -> Option<String> {
    let lower = region.to_ascii_lowercase();
    let without_zone = lower.strip_suffix(|c: char| c.is_ascii_lowercase());
    let meant = without_zone.filter(|name| is_region(name)).unwrap_or(&lower);
    (meant != region && is_region(meant)).then(|| meant.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_comes_from_the_builder_then_from_variables() {
        let env = Env::from([(env::REGION, "us-east-1"), (env::DEFAULT_REGION, "us-east-2")]);
        assert_eq!(region(&env, Some("us-west-1")).unwrap().as_ref().map(Region::as_str), Some("us-west-1"));
        assert_eq!(region(&env, None).unwrap().as_ref().map(Region::as_str), Some("us-east-1"));
        let env = Env::from([(env::REGION, " "), (env::DEFAULT_REGION, "us-east-2")]);
        assert_eq!(region(&env, None).unwrap().as_ref().map(Region::as_str), Some("us-east-2"));
        assert_eq!(region(&Env::default(), None).unwrap(), None);
    }

    #[test]
    fn region_is_suggested_for_a_zone_or_upper_case() {
        for (region, expected) in [
            ("eu-central-1a", Some("eu-central-1")),
            ("EU-Central-1", Some("eu-central-1")),
            ("US-EAST-1B", Some("us-east-1")),
            ("eu-central-1", None),
            ("garage", None),
            ("RegionOne", None),
            ("aws-global", None),
        ] {
            assert_eq!(probably_meant(region).as_deref(), expected, "{region}");
        }
    }

    #[test]
    fn region_for_sdk_clients_may_be_any_text_but_blank() {
        let env = Env::from([(env::REGION, "garage")]);
        assert_eq!(configured(&env, None).unwrap(), Some(("AWS_REGION", "garage")));
        assert_eq!(configured(&env, Some("RegionOne")).unwrap().map(|(_, region)| region), Some("RegionOne"));
        assert_eq!(configured(&env, Some(" ")).unwrap_err().observed(), "the region given to the builder is empty");
    }

    #[test]
    fn region_that_is_not_of_aws_is_refused_with_its_value() {
        for name in ["aws-global", "eu-central-1.evil.example", "EU-CENTRAL-1", "a-b-c/d", "us-east-", "eu-central-1a"]
        {
            let message = region(&Env::from([(env::REGION, name)]), None).unwrap_err().observed();
            assert!(message.contains(name) && message.starts_with("AWS_REGION"), "{message}");
        }
    }
}
