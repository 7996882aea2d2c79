//! The region in force, for STS and for the SDK's configuration.

use crate::env::{self, Env};
use crate::error::Error;

/// Builder, `AWS_REGION`, `AWS_DEFAULT_REGION`, in this order.
pub(crate) fn region(env: &Env, configured: Option<&str>) -> Result<Option<String>, Error> {
    let (name, region) = match configured {
        Some(region) => ("the region given to the builder", region),
        None => match env.first_of(&[env::REGION, env::DEFAULT_REGION])? {
            Some(found) => found,
            None => return Ok(None),
        },
    };
    if is_region(region) {
        Ok(Some(region.to_owned()))
    } else {
        Err(Error::invalid(format!("{name}: \"{region}\" is not an AWS region such as \"eu-central-1\"")))
    }
}

/// A region becomes a label of a host name. `aws-global` and its likes mean the global endpoint, and are refused.
fn is_region(region: &str) -> bool {
    let label = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    region.len() <= 63 && region.split('-').count() >= 3 && region.split('-').all(label) && !region.ends_with("-global")
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_is_no_region_is_refused_with_its_value() {
        for name in ["aws-global", "eu-central-1.evil.example", "EU-CENTRAL-1", "a-b-c/d", "us-east-"] {
            let message = region(&Env::from([(env::REGION, name)]), None).unwrap_err().to_string();
            assert!(message.contains(name) && message.starts_with("AWS_REGION"), "{message}");
        }
    }
}
