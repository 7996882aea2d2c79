//! What STS refuses with. The only place that looks at STS's own words.

use super::table::{FAILING, Row, Ruling, SERVER_ERROR, THROTTLING, TOO_MANY_REQUESTS, by_status, look_up, row};
use crate::claims::Claims;
use crate::error::ErrorKind;
use crate::error::verdict::Verdict;

/// What a refusal of `AssumeRoleWithWebIdentity` means.
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
    Throttled,
    Failing,
    Unknown,
}

/// Answers of STS by code and message. The codes that are permanent are those of the AWS SDKs' refresh rules of 2026;
/// `InvalidIdentityToken` for keys that could not be retrieved was seen in an outage of STS (aws-sdk-rust issue 827).
pub(crate) const TABLE: &[Row<Meaning>] = {
    use ErrorKind::{Denied, Refused, Throttled, TokenRejected, Unavailable};
    use Meaning as M;
    const TOKEN: &[&str] = &["InvalidIdentityToken"];
    &[
        row(&["AccessDenied"], "", M::NotTrusted, Denied, Verdict::PERMANENT),
        row(TOKEN, "verification key", M::KeysNotRetrieved, Unavailable, Verdict::TRANSIENT),
        row(TOKEN, "audience", M::WrongAudience, Denied, Verdict::PERMANENT),
        row(TOKEN, "no openidconnect provider", M::NoProvider, Denied, Verdict::PERMANENT),
        row(TOKEN, "thumbprint", M::Thumbprint, Denied, Verdict::PERMANENT),
        row(TOKEN, "not a valid jwt", M::NotAJwt, Denied, Verdict::PERMANENT),
        row(TOKEN, "region", M::RegionDisabled, Denied, Verdict::PERMANENT),
        row(TOKEN, "", M::InvalidToken, Denied, Verdict::PERMANENT),
        row(&["IDPRejectedClaim"], "", M::RejectedClaim, Denied, Verdict::PERMANENT),
        row(&["RegionDisabledException"], "", M::RegionDisabled, Denied, Verdict::PERMANENT),
        row(&["MalformedPolicyDocument"], "", M::Policy, Denied, Verdict::PERMANENT),
        row(&["PackedPolicyTooLarge"], "", M::PolicyTooLarge, Denied, Verdict::PERMANENT),
        row(&["ValidationError"], "", M::Parameter, Refused, Verdict::MISTAKE),
        row(&["ExpiredTokenException"], "", M::TokenExpired, TokenRejected, Verdict::TRANSIENT),
        row(&["IDPCommunicationError"], "", M::KeysNotRetrieved, Unavailable, Verdict::TRANSIENT),
        row(THROTTLING, "", M::Throttled, Throttled, Verdict::TRANSIENT),
        row(FAILING, "", M::Failing, Unavailable, Verdict::TRANSIENT),
        by_status(TOO_MANY_REQUESTS, M::Throttled, Throttled, Verdict::TRANSIENT),
        by_status(SERVER_ERROR, M::Failing, Unavailable, Verdict::TRANSIENT),
        row(&[], "", M::Unknown, Refused, Verdict::TRANSIENT),
    ]
};

/// What a refusal of `GetCallerIdentity` means, and of anything else that was signed.
pub(crate) const SIGNED: &[Row<Meaning>] = {
    use ErrorKind::{Denied, Throttled, Unavailable};
    use Meaning as M;
    &[
        row(THROTTLING, "", M::Throttled, Throttled, Verdict::TRANSIENT),
        row(FAILING, "", M::Failing, Unavailable, Verdict::TRANSIENT),
        by_status(TOO_MANY_REQUESTS, M::Throttled, Throttled, Verdict::TRANSIENT),
        by_status(SERVER_ERROR, M::Failing, Unavailable, Verdict::TRANSIENT),
        row(&[], "", M::Unknown, Denied, Verdict::PERMANENT),
    ]
};

/// A refusal in the form of STS.
#[derive(Debug)]
pub(crate) struct StsRefusal {
    pub(crate) status: u16,
    /// As it may be shown, as is `said`.
    pub(crate) code: String,
    pub(crate) said: String,
    pub(crate) meaning: Meaning,
    pub(crate) kind: ErrorKind,
    pub(crate) verdict: Verdict,
    pub(crate) request: Request,
}

/// What was requested of STS.
#[derive(Debug)]
pub(crate) enum Request {
    /// `AssumeRoleWithWebIdentity`.
    Assume {
        role_arn: String,
        /// `None`: the token is not a JWT.
        claims: Option<Claims>,
    },
    GetCallerIdentity,
}

impl StsRefusal {
    /// `code` and `message` as STS wrote them decide; `shown` is what may be shown of a text.
    pub(crate) fn new(
        status: u16,
        code: &str,
        message: &str,
        request: Request,
        shown: impl Fn(&str) -> String,
    ) -> Self {
        let table = match request {
            Request::Assume { .. } => TABLE,
            Request::GetCallerIdentity => SIGNED,
        };
        let Ruling { meaning, kind, verdict } = look_up(table, Meaning::Unknown, status, code, message);
        Self { status, code: shown(code), said: shown(message), meaning, kind, verdict, request }
    }

    /// What was answered to what.
    pub(crate) fn observed(&self, server: &str) -> String {
        let Self { status, code, said, request, kind, .. } = self;
        match request {
            Request::Assume { role_arn, claims }
                if matches!(kind, ErrorKind::Denied | ErrorKind::TokenRejected | ErrorKind::Refused) =>
            {
                let claims = claims
                    .as_ref()
                    .map_or_else(|| "the token is not a JWT".to_owned(), |claims| format!("the token has {claims}"));
                format!(
                    "{server} refused the request for role {role_arn} with status {status} {code}: {said}; {claims}"
                )
            }
            _ => format!("{server} answered {status} {code}: {said}"),
        }
    }

    pub(crate) fn remedy(&self, if_failing: &str) -> String {
        let remedy = match self.meaning {
            _ if matches!(self.request, Request::GetCallerIdentity) && self.kind == ErrorKind::Denied => {
                "check which server issued the credentials, and whether the role's sessions were revoked"
            }
            Meaning::NotTrusted => {
                "compare subject and audience with the conditions of the role's trust policy, and check that the role exists \
                 in that account"
            }
            Meaning::WrongAudience => {
                "add this audience to the client ids of the IAM OIDC provider, or project the token with the audience \
                 sts.amazonaws.com"
            }
            Meaning::NoProvider => "create an IAM OIDC provider for this issuer in the role's account",
            Meaning::Thumbprint => {
                "update the thumbprint of the IAM OIDC provider: aws iam update-open-id-connect-provider-thumbprint"
            }
            Meaning::NotAJwt => "let AWS_WEB_IDENTITY_TOKEN_FILE name the projected service account token",
            Meaning::InvalidToken | Meaning::RejectedClaim => {
                "check that the token was issued by this cluster, and that the role's account has an IAM OIDC provider for \
                 this issuer"
            }
            Meaning::RegionDisabled => {
                "enable this region in the role's account, or set AWS_REGION to a region that is enabled"
            }
            Meaning::Policy => "correct the session policy",
            Meaning::PolicyTooLarge => {
                "shorten the session policies: they and the session tags share one limit on their packed size"
            }
            Meaning::Parameter => {
                "correct the role ARN, duration, session name or session policy: the duration must not exceed the role's \
                 maximum session duration"
            }
            Meaning::TokenExpired => {
                "check that kubelet still rotates the token file and that the node's clock is right"
            }
            Meaning::KeysNotRetrieved => {
                "STS could not fetch the keys of the token's issuer. The request is repeated; if this lasts, check that \
                 the issuer's URL can be reached from the internet, and the AWS Health Dashboard for STS in this region"
            }
            Meaning::Throttled => return super::IF_THROTTLED.to_owned(),
            Meaning::Failing => return format!("the request is repeated; if this lasts, {if_failing}"),
            Meaning::Unknown => "the request is repeated; see the STS API reference for this code",
        };
        remedy.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, code: &str, message: &str) -> StsRefusal {
        let request = Request::Assume { role_arn: "arn".to_owned(), claims: None };
        StsRefusal::new(status, code, message, request, str::to_owned)
    }

    /// Every message that STS is known to give with `InvalidIdentityToken`.
    #[test]
    fn sts_refusal_splits_invalid_identity_token_by_message() {
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
    fn sts_refusal_is_transient_for_every_code_that_the_sdks_retry() {
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
    fn sts_refusal_with_an_unknown_code_goes_by_its_status() {
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
