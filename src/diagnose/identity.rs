//! Compares the identity that STS returns for the fetched credentials with the requested role.

use aws_credential_types::Credentials;

use super::{Finding, FindingId, Setup};
use crate::caller_identity::{self, CallerIdentity};
use crate::error::ErrorKind;
use crate::error::problem::Problem;
use crate::source::SourceConfig;

pub(super) async fn check(setup: &Setup, config: &SourceConfig, credentials: &Credentials) -> Finding {
    let Setup { env, settings, http, .. } = setup;
    let caller = caller_identity::get(env, settings, http.clone(), credentials, setup.time_source().now()).await;
    let Some(caller) = caller else {
        return Finding::new(
            FindingId::IdentityUnknown,
            "STS was not called, because this build has no STS client; to add it, enable the feature `irsa` of \
             eks-credentials",
        );
    };
    let CallerIdentity { arn, account, .. } = match caller {
        Ok(caller) => caller,
        Err(error) if error.kind() == ErrorKind::Denied => return Finding::of(&error),
        Err(error) => {
            let by = match error.problem() {
                Problem::NoAnswer(no_answer) => {
                    no_answer.peer.setting.map(|setting| format!("; the address is from {setting}"))
                }
                _ => None,
            };
            let observed = error.problem().observed() + by.as_deref().unwrap_or_default();
            return Finding::new(FindingId::IdentityUnknown, observed);
        }
    };
    match config.role_arn() {
        Some(role_arn) if !is_session_of(&arn, role_arn) => {
            let observed = format!("{arn}, in account {account}");
            Finding::new(FindingId::IdentityOther, observed)
                .expected(format!("a session of {role_arn}"))
                .remedy("check AWS_ENDPOINT_URL_STS and AWS_ENDPOINT_URL: the response did not come from AWS STS")
        }
        _ => Finding::new(FindingId::IdentityOk, arn),
    }
}

/// Whether `arn`, such as `arn:aws:sts::111122223333:assumed-role/name/session`, is a session of `role_arn`, such as
/// `arn:aws:iam::111122223333:role/path/name`. The ARN of a session does not contain the path of the role.
fn is_session_of(arn: &str, role_arn: &str) -> bool {
    let part = |arn: &str, n| arn.split(':').nth(n).unwrap_or_default().to_owned();
    let role = part(role_arn, 5);
    let assumed = part(arn, 5);
    let mut assumed = assumed.split('/');
    part(arn, 1) == part(role_arn, 1)
        && part(arn, 4) == part(role_arn, 4)
        && assumed.next() == Some("assumed-role")
        && assumed.next() == role.rsplit('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_matches_role_by_partition_account_and_name() {
        let role = "arn:aws:iam::111122223333:role/team/app";
        for (arn, expected) in [
            ("arn:aws:sts::111122223333:assumed-role/app/session", true),
            ("arn:aws:sts::111122223333:assumed-role/team/app", false),
            ("arn:aws:sts::444455556666:assumed-role/app/session", false),
            ("arn:aws-cn:sts::111122223333:assumed-role/app/session", false),
            ("arn:aws:iam::111122223333:user/app", false),
            ("", false),
        ] {
            assert_eq!(is_session_of(arn, role), expected, "{arn}");
        }
    }
}
