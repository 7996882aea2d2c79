//! The codes and messages of STS, and what each of them means.

use super::Meaning;
use crate::error::ErrorKind;
use crate::error::problem::table::{FAILING, Row, SERVER_ERROR, THROTTLING, TOO_MANY_REQUESTS, by_status, row};
use crate::error::verdict::Verdict;

/// Refusals of `AssumeRoleWithWebIdentity` by code and message. The permanent codes are those of the AWS SDKs' refresh
/// rules of 2026. `InvalidIdentityToken` is not always permanent: in an outage, STS returned it because it could not
/// retrieve the keys of the issuer (aws-sdk-rust issue 827).
pub(crate) const ASSUME_ROLE_WITH_WEB_IDENTITY: &[Row<Meaning>] = {
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

/// Refusals of `AssumeRole` by code and message. A denial is permanent, as with `AssumeRoleWithWebIdentity`. Refusals of the
/// credentials that signed the request are not: the pod's own credentials are refreshed first.
pub(crate) const ASSUME_ROLE: &[Row<Meaning>] = {
    use ErrorKind::{Denied, Refused, Throttled, Unavailable};
    use Meaning as M;
    const DENIED: &[&str] = &["AccessDenied", "AccessDeniedException"];
    const CALLER: &[&str] = &[
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "InvalidToken",
        "TokenRefreshRequired",
    ];
    const SIGNATURE: &[&str] = &["SignatureDoesNotMatch", "RequestExpired", "RequestTimeTooSkewed"];
    &[
        row(DENIED, "to perform: sts:tagsession", M::NoTagSession, Denied, Verdict::PERMANENT),
        row(DENIED, "to perform: sts:setsourceidentity", M::NoSourceIdentity, Denied, Verdict::PERMANENT),
        row(DENIED, "", M::NotAllowed, Denied, Verdict::PERMANENT),
        row(&["RegionDisabledException"], "", M::RegionDisabled, Denied, Verdict::PERMANENT),
        row(&["MalformedPolicyDocument"], "", M::Policy, Denied, Verdict::PERMANENT),
        row(
            &["PackedPolicyTooLarge", "PackedPolicyTooLargeException"],
            "",
            M::PolicyTooLarge,
            Denied,
            Verdict::PERMANENT,
        ),
        row(&["ValidationError"], "durationseconds", M::SessionTooLong, Refused, Verdict::MISTAKE),
        row(&["ValidationError"], "", M::Parameter, Refused, Verdict::MISTAKE),
        row(CALLER, "", M::CallerRejected, Refused, Verdict::TRANSIENT),
        row(SIGNATURE, "signature expired", M::WrongClock, Refused, Verdict::TRANSIENT),
        row(SIGNATURE, "signature not yet current", M::WrongClock, Refused, Verdict::TRANSIENT),
        row(&["RequestExpired", "RequestTimeTooSkewed"], "", M::WrongClock, Refused, Verdict::TRANSIENT),
        row(THROTTLING, "", M::Throttled, Throttled, Verdict::TRANSIENT),
        row(FAILING, "", M::Failing, Unavailable, Verdict::TRANSIENT),
        by_status(TOO_MANY_REQUESTS, M::Throttled, Throttled, Verdict::TRANSIENT),
        by_status(SERVER_ERROR, M::Failing, Unavailable, Verdict::TRANSIENT),
        row(&[], "", M::Unknown, Refused, Verdict::TRANSIENT),
    ]
};

/// Refusals of `GetCallerIdentity`.
pub(crate) const GET_CALLER_IDENTITY: &[Row<Meaning>] = {
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
