//! The region in force, for STS and for the SDK's configuration.

use crate::env::{self, Env};
use crate::error::Error;

/// The region as it is configured and where it comes from: the builder, `AWS_REGION`, `AWS_DEFAULT_REGION`, in this order.
/// SDK clients get it in whatever form: S3-compatible stores have regions such as `garage` and `auto`.
pub(crate) fn configured<'a>(env: &'a Env, builder: Option<&'a str>) -> Result<Option<(&'a str, &'a str)>, Error> {
    const BUILDER: &str = "the region given to the builder";
    match builder {
        None => env.first_of(&[env::REGION, env::DEFAULT_REGION]),
        Some(region) if region.trim().is_empty() => Err(Error::invalid(format!("{BUILDER} is empty"))),
        Some(region) => Ok(Some((BUILDER, region))),
    }
}

/// The configured region, checked, for a host name of AWS that is derived from it.
#[cfg(any(feature = "irsa", feature = "diagnose"))]
pub(crate) fn region(env: &Env, builder: Option<&str>) -> Result<Option<String>, Error> {
    let Some((name, region)) = configured(env, builder)? else { return Ok(None) };
    if is_region(region) {
        Ok(Some(region.to_owned()))
    } else {
        Err(Error::invalid(format!("{name}: \"{region}\" is not an AWS region such as \"eu-central-1\"")))
    }
}

/// A region becomes a label of a host name. `aws-global` and its likes mean the global endpoint, and are refused.
#[cfg(any(feature = "irsa", feature = "diagnose"))]
fn is_region(region: &str) -> bool {
    let label = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    region.len() <= 63 && region.split('-').count() >= 3 && region.split('-').all(label) && !region.ends_with("-global")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(any(feature = "irsa", feature = "diagnose"))]
    #[test]
    fn region_from_builder_then_either_variable_and_none_is_an_error() {
        let env = Env::from([(env::REGION, "us-east-1"), (env::DEFAULT_REGION, "us-east-2")]);
        assert_eq!(region(&env, Some("us-west-1")).unwrap().as_deref(), Some("us-west-1"));
        assert_eq!(region(&env, None).unwrap().as_deref(), Some("us-east-1"));
        let env = Env::from([(env::REGION, " "), (env::DEFAULT_REGION, "us-east-2")]);
        assert_eq!(region(&env, None).unwrap().as_deref(), Some("us-east-2"));
        assert_eq!(region(&Env::default(), None).unwrap(), None);
    }

    #[test]
    fn configured_region_may_have_any_form_but_blank() {
        let env = Env::from([(env::REGION, "garage")]);
        assert_eq!(configured(&env, None).unwrap(), Some(("AWS_REGION", "garage")));
        assert_eq!(configured(&env, Some("RegionOne")).unwrap().map(|(_, region)| region), Some("RegionOne"));
        assert_eq!(configured(&env, Some(" ")).unwrap_err().to_string(), "the region given to the builder is empty");
    }

    #[cfg(any(feature = "irsa", feature = "diagnose"))]
    #[test]
    fn what_is_no_region_is_refused_with_its_value() {
        for name in ["aws-global", "eu-central-1.evil.example", "EU-CENTRAL-1", "a-b-c/d", "us-east-"] {
            let message = region(&Env::from([(env::REGION, name)]), None).unwrap_err().to_string();
            assert!(message.contains(name) && message.starts_with("AWS_REGION"), "{message}");
        }
    }
}
