//! The ARN of the role that IRSA assumes.

use std::fmt;

/// A role's ARN. It is sent to STS unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleArn(String);

impl RoleArn {
    /// Accepts the format of AWS: `arn:<partition>:iam::<12-digit account>:role/<path and name>`.
    pub(crate) fn of_aws(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [prefix, partition, service, region, account, resource] = parts.as_slice() else { return None };
        let names_a_role = resource.strip_prefix("role/").is_some_and(|name| !name.is_empty() && !name.ends_with('/'));
        let is_role = *prefix == "arn"
            && partition.starts_with("aws")
            && *service == "iam"
            && region.is_empty()
            && is_account(account)
            && names_a_role
            && arn.bytes().all(|b| b.is_ascii_graphic());
        is_role.then(|| Self(arn.to_owned()))
    }

    /// Accepts any text that begins with `arn:` and has no control characters. Other implementations of STS have other formats:
    /// `arn:minio:iam:::role/app`, or `arn:aws:iam:::role/app` (Ceph RGW).
    pub(crate) fn of_any_sts(arn: &str) -> Option<Self> {
        (arn.starts_with("arn:") && !arn.contains(char::is_control)).then(|| Self(arn.to_owned()))
    }

    /// `aws`, `aws-cn`, …
    pub(crate) fn partition(&self) -> &str {
        self.0.split(':').nth(1).unwrap_or_default()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The account in the ARN of a role or session, if it is an AWS account id. Other implementations of STS have no account, or
/// one in another format. Such a value is not returned, because SDK clients insert the account id into host names.
pub(crate) fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|part| is_account(part))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_arn_of_aws_names_a_role_in_an_account() {
        for (arn, expected) in [
            ("arn:aws:iam::111122223333:role/app", true),
            ("arn:aws-us-gov:iam::111122223333:role/team/app", true),
            ("arn:aws:iam:::role/app", false),
            ("arn:minio:iam:::role/app", false),
            ("arn:aws:iam::1111222233334:role/app", false),
            ("arn:aws:iam::111122223333:role/", false),
            ("arn:aws:iam::111122223333:role/app/", false),
            ("arn:aws:iam::111122223333:user/app", false),
            ("arn:aws:iam::111122223333:role/a pp", false),
            ("app", false),
        ] {
            assert_eq!(RoleArn::of_aws(arn).is_some(), expected, "{arn}");
        }
    }

    #[test]
    fn role_arn_of_another_sts_is_any_arn_on_one_line() {
        for (arn, expected) in [
            ("arn:minio:iam:::role/x", true),
            ("arn:aws:iam:::role/a pp", true),
            ("arn:", true),
            ("arn:aws:iam:::role/a\npp", false),
            ("arn:\u{85}", false),
            ("role/x", false),
            ("", false),
        ] {
            assert_eq!(
                RoleArn::of_any_sts(arn).map(|arn| arn.to_string()),
                expected.then(|| arn.to_owned()),
                "{arn:?}"
            );
        }
    }

    #[test]
    fn account_of_an_arn_has_twelve_digits() {
        assert_eq!(account_of("arn:aws:sts::111122223333:assumed-role/app/session"), Some("111122223333"));
        for arn in
            ["arn:aws:sts:::assumed-role/app/session", "arn:aws:sts::evil.example/x:y", "", "arn:aws:sts::1234:x"]
        {
            assert_eq!(account_of(arn), None, "{arn}");
        }
    }
}
