//! Refusals by STS. Only this file and `tables` interpret the messages of STS.

pub(crate) mod tables;

use super::table::{Ruling, look_up};
use crate::claims::Claims;
use crate::error::ErrorKind;
use crate::error::verdict::Verdict;

/// What a refusal by STS means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// No statement of the trust policy matches the token, or the role does not exist.
    NotTrusted,
    WrongAudience,
    NoProvider,
    Thumbprint,
    NotAJwt,
    /// STS could not fetch the issuer's keys.
    KeysNotRetrieved,
    /// `InvalidIdentityToken` with another message.
    InvalidToken,
    RejectedClaim,
    RegionDisabled,
    Policy,
    PolicyTooLarge,
    Parameter,
    TokenExpired,
    /// `AssumeRole` is not allowed, or the role does not exist.
    NotAllowed,
    /// `AssumeRole` is allowed, but not with session tags.
    NoTagSession,
    /// `AssumeRole` is allowed, but not with a source identity.
    NoSourceIdentity,
    /// The credentials that signed the request have expired, or STS does not know them.
    CallerRejected,
    /// The time of the signature is wrong.
    WrongClock,
    /// The session would be longer than the role or a role chain allows.
    SessionTooLong,
    Throttled,
    Failing,
    Unknown,
}

/// A refusal in the format of STS.
#[derive(Debug)]
pub(crate) struct StsRefusal {
    pub(crate) status: u16,
    /// In a form that is safe to show, like `said`.
    pub(crate) code: String,
    pub(crate) said: String,
    pub(crate) meaning: Meaning,
    pub(crate) kind: ErrorKind,
    pub(crate) verdict: Verdict,
    pub(crate) request: Request,
}

/// The request that STS refused.
#[derive(Debug)]
pub(crate) enum Request {
    /// `AssumeRoleWithWebIdentity`.
    Assume {
        role_arn: String,
        /// `None` if the token is not a JWT.
        claims: Option<Claims>,
    },
    /// `AssumeRole`.
    AssumeRole {
        role_arn: String,
        /// Whose credentials signed the request: the pod's source, or the previous role of a chain.
        caller: String,
    },
    GetCallerIdentity,
}

impl StsRefusal {
    /// Classifies the refusal by the original `code` and `message`. `shown` returns the part of a text that is safe to
    /// show.
    pub(crate) fn new(
        status: u16,
        code: &str,
        message: &str,
        request: Request,
        shown: impl Fn(&str) -> String,
    ) -> Self {
        let table = match request {
            Request::Assume { .. } => tables::ASSUME_ROLE_WITH_WEB_IDENTITY,
            Request::AssumeRole { .. } => tables::ASSUME_ROLE,
            Request::GetCallerIdentity => tables::GET_CALLER_IDENTITY,
        };
        let Ruling { meaning, kind, verdict } = look_up(table, Meaning::Unknown, status, code, message);
        Self { status, code: shown(code), said: shown(message), meaning, kind, verdict, request }
    }

    /// Whether [`observed`](Self::observed) describes the request, because the cause can be in it.
    pub(crate) fn shows_request(&self) -> bool {
        matches!(self.kind, ErrorKind::Denied | ErrorKind::TokenRejected | ErrorKind::Refused)
    }

    /// The refusal, with the request that it belongs to.
    pub(crate) fn observed(&self, server: &str) -> String {
        let Self { status, code, said, request, .. } = self;
        match request {
            Request::Assume { role_arn, claims } if self.shows_request() => {
                let claims = claims
                    .as_ref()
                    .map_or_else(|| "the token is not a JWT".to_owned(), |claims| format!("the token has {claims}"));
                format!(
                    "{server} refused the request for role {role_arn} with status {status} {code}: {said}; {claims}"
                )
            }
            Request::AssumeRole { role_arn, caller } if self.shows_request() => {
                format!(
                    "{server} refused AssumeRole for role {role_arn}, signed with the credentials of {caller}, with status \
                 {status} {code}: {said}"
                )
            }
            _ => format!("{server} returned status {status} {code}: {said}"),
        }
    }

    pub(crate) fn remedy(&self, if_failing: &str) -> String {
        let remedy = match self.meaning {
            _ if matches!(self.request, Request::GetCallerIdentity) && self.kind == ErrorKind::Denied => {
                "check which server issued the credentials, and whether the role's sessions were revoked"
            }
            Meaning::PolicyTooLarge if matches!(self.request, Request::AssumeRole { .. }) => {
                "shorten the session policies and session tags: one limit on the packed size applies to both, and to the \
                 transitive tags of the pod's own session; EKS Pod Identity sets six transitive tags unless its \
                 association disables session tags"
            }
            Meaning::Parameter if matches!(self.request, Request::AssumeRole { .. }) => {
                "correct the parameter that the message names"
            }
            Meaning::NotTrusted => {
                "compare the token's subject and audience with the conditions of the role's trust policy, and check \
                 that the role exists in that account"
            }
            Meaning::WrongAudience => {
                "add this audience to the client ids of the IAM OIDC provider, or project the token with the audience \
                 sts.amazonaws.com"
            }
            Meaning::NoProvider => "create an IAM OIDC provider for this issuer in the role's account",
            Meaning::Thumbprint => {
                "update the thumbprint of the IAM OIDC provider: aws iam update-open-id-connect-provider-thumbprint"
            }
            Meaning::NotAJwt => "set AWS_WEB_IDENTITY_TOKEN_FILE to the path of the projected service account token",
            Meaning::InvalidToken | Meaning::RejectedClaim => {
                "check that the token was issued by this cluster, and that the role's account has an IAM OIDC provider \
                 for this issuer"
            }
            Meaning::RegionDisabled => {
                "enable this region in the role's account, or set AWS_REGION to an enabled region"
            }
            Meaning::Policy => "correct the session policy",
            Meaning::PolicyTooLarge => {
                "shorten the session policies: the limit on the packed size applies to session policies and session \
                 tags together"
            }
            Meaning::Parameter => {
                "correct the role ARN, the session length, the session name or the session policy; the session length \
                 must not exceed the role's maximum session duration"
            }
            Meaning::NotAllowed => {
                "check that the role exists, that its trust policy names the role of this pod (and the external ID, if \
                 it requires one), and that the policies of the role of this pod allow sts:AssumeRole for it"
            }
            Meaning::NoTagSession => {
                "allow sts:TagSession in the role's trust policy and in the policies of the role of this pod: session \
                 tags, including the transitive tags of the pod's own session, require it"
            }
            Meaning::NoSourceIdentity => {
                "allow sts:SetSourceIdentity in the role's trust policy and in the policies of the role of this pod"
            }
            Meaning::CallerRejected => {
                "the credentials of the pod are fetched again before the next attempt; if this continues, check whether \
                 the sessions of the pod's role were revoked, and that the STS endpoint belongs to the same partition"
            }
            Meaning::WrongClock => "synchronize the clock of the node",
            Meaning::SessionTooLong => {
                "request a shorter session: a session from role chaining lasts at most one hour, and no session lasts \
                 longer than the role's maximum session duration"
            }
            Meaning::TokenExpired => {
                "check that kubelet still rotates the token file and that the node's clock is correct"
            }
            Meaning::KeysNotRetrieved => {
                "STS could not fetch the keys of the token's issuer; the request is retried; if this continues, check \
                 that the issuer's URL can be reached from the internet, and check the AWS Health Dashboard for STS in \
                 this region"
            }
            Meaning::Throttled => return super::IF_THROTTLED.to_owned(),
            Meaning::Failing => return format!("the request is retried; if this continues, {if_failing}"),
            Meaning::Unknown => "the request is retried; see the STS API reference for this code",
        };
        remedy.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::problem::table::{FAILING, THROTTLING};

    fn refusal(status: u16, code: &str, message: &str) -> StsRefusal {
        let request = Request::Assume { role_arn: "arn".to_owned(), claims: None };
        StsRefusal::new(status, code, message, request, str::to_owned)
    }

    /// A denial is permanent. A refusal of the caller's credentials or of the time is not.
    #[test]
    fn sts_refusal_of_assume_role_is_classified_by_code_and_message() {
        use ErrorKind::{Denied, Refused, Throttled, Unavailable};
        let user = "User: arn:aws:sts::111122223333:assumed-role/app/x is not authorized to perform: ";
        for (status, code, message, meaning, kind, permanent) in [
            (403, "AccessDenied", format!("{user}sts:AssumeRole on resource: y"), Meaning::NotAllowed, Denied, true),
            (403, "AccessDenied", format!("{user}sts:TagSession on resource: y"), Meaning::NoTagSession, Denied, true),
            (403, "AccessDenied", format!("{user}sts:SetSourceIdentity on z"), Meaning::NoSourceIdentity, Denied, true),
            (400, "PackedPolicyTooLarge", String::new(), Meaning::PolicyTooLarge, Denied, true),
            (400, "PackedPolicyTooLargeException", String::new(), Meaning::PolicyTooLarge, Denied, true),
            (400, "MalformedPolicyDocument", String::new(), Meaning::Policy, Denied, true),
            (403, "RegionDisabledException", String::new(), Meaning::RegionDisabled, Denied, true),
            (
                400,
                "ValidationError",
                "The requested DurationSeconds exceeds".to_owned(),
                Meaning::SessionTooLong,
                Refused,
                false,
            ),
            (400, "ValidationError", "1 validation error".to_owned(), Meaning::Parameter, Refused, false),
            (403, "ExpiredToken", String::new(), Meaning::CallerRejected, Refused, false),
            (403, "InvalidClientTokenId", String::new(), Meaning::CallerRejected, Refused, false),
            (
                403,
                "SignatureDoesNotMatch",
                "Signature expired: a is now earlier than b".to_owned(),
                Meaning::WrongClock,
                Refused,
                false,
            ),
            (
                403,
                "SignatureDoesNotMatch",
                "Signature not yet current: a".to_owned(),
                Meaning::WrongClock,
                Refused,
                false,
            ),
            (403, "SignatureDoesNotMatch", "The request signature".to_owned(), Meaning::Unknown, Refused, false),
            (400, "Throttling", String::new(), Meaning::Throttled, Throttled, false),
            (503, "Other", String::new(), Meaning::Failing, Unavailable, false),
            (400, "Other", String::new(), Meaning::Unknown, Refused, false),
        ] {
            let request = Request::AssumeRole { role_arn: "arn".to_owned(), caller: "IRSA".to_owned() };
            let refusal = StsRefusal::new(status, code, &message, request, str::to_owned);
            let outcome = (refusal.meaning, refusal.kind, !refusal.verdict.serves_expired);
            assert_eq!(outcome, (meaning, kind, permanent), "{code} {message}");
            assert!(!refusal.remedy("call AWS").is_empty());
        }
    }

    /// Every message that STS is known to return with `InvalidIdentityToken`.
    #[test]
    fn sts_invalid_identity_token_is_classified_by_message() {
        for (message, meaning, permanent) in [
            ("Incorrect token audience", Meaning::WrongAudience, true),
            (
                "No OpenIDConnect provider found in your account for https://oidc.eks.eu-central-1.amazonaws.com/id/A",
                Meaning::NoProvider,
                true,
            ),
            (
                "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint",
                Meaning::Thumbprint,
                true,
            ),
            (
                "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
                Meaning::NotAJwt,
                true,
            ),
            (
                "Couldn't retrieve verification key from your identity provider, please reference \
                 AssumeRoleWithWebIdentity documentation for requirements",
                Meaning::KeysNotRetrieved,
                false,
            ),
            ("STS is not activated in this region for account:111122223333", Meaning::RegionDisabled, true),
            ("Something new", Meaning::InvalidToken, true),
        ] {
            let refusal = refusal(400, "InvalidIdentityToken", message);
            assert_eq!((refusal.meaning, refusal.verdict.falls_back), (meaning, permanent), "{message}");
        }
    }

    /// The AWS SDKs retry these codes whatever the status.
    #[test]
    fn sts_refusal_is_transient_for_codes_that_sdks_retry() {
        use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
        for code in THROTTLING_ERRORS.iter().chain(TRANSIENT_ERRORS).chain(THROTTLING).chain(FAILING) {
            for status in [400, 403, 503] {
                let refusal = refusal(status, code, "");
                assert_eq!(refusal.verdict, Verdict::TRANSIENT, "{status} {code}");
                assert_ne!(refusal.meaning, Meaning::Unknown, "{status} {code}");
            }
        }
    }

    #[test]
    fn sts_refusal_with_unknown_code_is_classified_by_status() {
        for (status, kind) in [
            (400, ErrorKind::Refused),
            (403, ErrorKind::Refused),
            (429, ErrorKind::Throttled),
            (500, ErrorKind::Unavailable),
        ] {
            let refusal = refusal(status, "SomethingNew", "");
            assert_eq!((refusal.kind, refusal.verdict), (kind, Verdict::TRANSIENT), "{status}");
        }
    }
}
