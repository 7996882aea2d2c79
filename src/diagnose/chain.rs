//! Role chaining: one `AssumeRole` request for each role, with the credentials that the diagnosis has just fetched.

use std::sync::Arc;

use aws_credential_types::Credentials;

use super::{Finding, FindingId, Setup, remedies, token};
use crate::clock;
use crate::error::problem::Problem;
use crate::provider::hop::Hop;
use crate::source::SourceConfig;

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
        match hop.exchange(&credentials, config.kind(), now).await {
            Ok(fetched) => {
                let expiry = fetched.credentials.expiry();
                let lasts = expiry.map(|expiry| format!(", valid for {}", token::roughly(clock::since(expiry, now))));
                let observed = format!("role {role_arn}{}", lasts.unwrap_or_default());
                findings.push(Finding::new(FindingId::AssumeRoleOk, observed));
                credentials = fetched.credentials;
                caller = Some(role_arn.to_owned());
            }
            Err(error) => {
                let mut finding = Finding::of(&error);
                let names_role = matches!(error.problem(), Problem::Sts { refusal, .. } if refusal.shows_request());
                if !names_role {
                    finding.observed = format!("AssumeRole for role {role_arn}: {}", finding.observed);
                }
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
