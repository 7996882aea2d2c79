//! Role chaining: one `AssumeRole` request for each role, with the credentials that the diagnosis has just fetched.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use tokio::time::timeout;

use super::{Finding, FindingId, Setup, remedies, token};
use crate::clock;
use crate::provider::hop::Hop;
use crate::source::SourceConfig;

/// STS usually answers in less than a second.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Assumes the roles one after the other, until one fails.
pub(super) async fn check(
    setup: &Setup,
    config: &SourceConfig,
    hops: &[Arc<dyn Hop>],
    credentials: Credentials,
    findings: &mut Vec<Finding>,
) {
    let mut credentials = credentials;
    let mut caller = config.role_arn().map(str::to_owned);
    for hop in hops {
        let now = setup.time_source().now();
        let role_arn = hop.role_arn();
        let Ok(outcome) = timeout(TIMEOUT, hop.exchange(&credentials, config.kind(), now)).await else {
            let observed = format!("AssumeRole for role {role_arn} took more than {TIMEOUT:?}");
            findings.push(Finding::new(FindingId::StsTimeout, observed));
            return;
        };
        match outcome {
            Ok(fetched) => {
                let expiry = fetched.credentials.expiry();
                let lasts = expiry.map(|expiry| format!(", valid for {}", token::roughly(clock::since(expiry, now))));
                let observed = format!("role {role_arn}{}", lasts.unwrap_or_default());
                findings.push(Finding::new(FindingId::AssumeRoleOk, observed));
                credentials = fetched.credentials;
                caller = Some(role_arn.to_owned());
            }
            Err(error) => {
                let finding = Finding::of(&error);
                findings.push(match finding.id {
                    FindingId::AssumeRoleDenied => finding
                        .commands(remedies::trust_policy(role_arn))
                        .policy(remedies::assume_role_trust(caller.as_deref())),
                    _ => finding,
                });
                return;
            }
        }
    }
}
