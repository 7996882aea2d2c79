//! Who the fetched credentials are, by the word of STS, against the role that was asked for.

use aws_credential_types::Credentials;

use super::{Finding, FindingId, Subject};
use crate::caller_identity::{CallerIdentity, Sts, caller_identity};
use crate::detect::SourceConfig;
use crate::error::{Error, ErrorKind};
use crate::problem::Problem;

pub(super) async fn check(subject: &Subject, config: &SourceConfig, credentials: &Credentials) -> Finding {
    let caller = match subject.caller_identity(credentials).await {
        Ok(caller) => caller,
        Err(error) if error.kind() == ErrorKind::Denied => return Finding::of(&error),
        Err(error) => {
            let by = match error.problem() {
                Problem::NoAnswer(no_answer) => {
                    no_answer.peer.setting.map(|setting| format!("; the address is that of {setting}"))
                }
                _ => None,
            };
            let observed = error.problem().observed() + by.as_deref().unwrap_or_default();
            return Finding::new(FindingId::IdentityUnknown, observed);
        }
    };
    let CallerIdentity { arn, account, .. } = caller;
    match config {
        SourceConfig::WebIdentity(config) if !is_session_of(&arn, config.role_arn.as_str()) => {
            let observed = format!("{arn}, in account {account}");
            Finding::new(FindingId::IdentityOther, observed)
                .expected(format!("a session of {}", config.role_arn))
                .remedy("check AWS_ENDPOINT_URL_STS and AWS_ENDPOINT_URL: the answer was not that of AWS STS")
        }
        _ => Finding::new(FindingId::IdentityOk, arn),
    }
}

impl Subject {
    /// Asks STS as this pod reaches it.
    pub(crate) async fn caller_identity(&self, credentials: &Credentials) -> Result<CallerIdentity, Error> {
        let sts = Sts::new(&self.env, &self.settings, self.sts_client.clone()).await?;
        caller_identity(&sts, credentials, self.time.now()).await
    }
}

/// `arn:aws:sts::111122223333:assumed-role/name/session` of `arn:aws:iam::111122223333:role/path/name`. The path is lost.
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
    fn a_session_is_known_by_partition_account_and_the_last_part_of_the_roles_path() {
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
