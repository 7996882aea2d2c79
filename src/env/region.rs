//! The region in force, for STS and for the SDK's configuration.

use std::fmt;

use crate::env::{self, Env};
use crate::error::problem::setting::Setting;

/// The region as it is configured and where it comes from: the builder, `AWS_REGION`, `AWS_DEFAULT_REGION`, in this order.
/// SDK clients get it in whatever form: S3-compatible stores have regions such as `garage` and `auto`.
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

/// A region of AWS. It becomes a label of a host name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region(String);

impl Region {
    /// `aws-global` and similar names mean the global endpoint, and are refused. Every region of AWS ends in a number; an
    /// availability zone (`eu-central-1a`) ends in a letter. `setting` is where the region was configured.
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

/// The configured region, for a host name of AWS that is derived from it.
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

/// The region that was probably meant by one that is not: that of an availability zone, or the name in lower case.
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
    fn region_from_builder_then_either_variable_and_none_is_an_error() {
        let env = Env::from([(env::REGION, "us-east-1"), (env::DEFAULT_REGION, "us-east-2")]);
        assert_eq!(region(&env, Some("us-west-1")).unwrap().as_ref().map(Region::as_str), Some("us-west-1"));
        assert_eq!(region(&env, None).unwrap().as_ref().map(Region::as_str), Some("us-east-1"));
        let env = Env::from([(env::REGION, " "), (env::DEFAULT_REGION, "us-east-2")]);
        assert_eq!(region(&env, None).unwrap().as_ref().map(Region::as_str), Some("us-east-2"));
        assert_eq!(region(&Env::default(), None).unwrap(), None);
    }

    #[test]
    fn region_of_a_zone_or_in_upper_case_is_recognized() {
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
    fn configured_region_may_have_any_form_but_blank() {
        let env = Env::from([(env::REGION, "garage")]);
        assert_eq!(configured(&env, None).unwrap(), Some(("AWS_REGION", "garage")));
        assert_eq!(configured(&env, Some("RegionOne")).unwrap().map(|(_, region)| region), Some("RegionOne"));
        assert_eq!(configured(&env, Some(" ")).unwrap_err().observed(), "the region given to the builder is empty");
    }

    #[test]
    fn what_is_no_region_is_refused_with_its_value() {
        for name in ["aws-global", "eu-central-1.evil.example", "EU-CENTRAL-1", "a-b-c/d", "us-east-", "eu-central-1a"]
        {
            let message = region(&Env::from([(env::REGION, name)]), None).unwrap_err().observed();
            assert!(message.contains(name) && message.starts_with("AWS_REGION"), "{message}");
        }
    }
}
