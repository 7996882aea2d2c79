//! The rows of the matrix: every response that the protocols define, and responses of broken networks and wrong
//! servers.
//! The expected classification is written by hand, from the protocols and not from the code. Otherwise, updating the
//! snapshots could hide a wrong classification.

use std::time::Duration;

use eks_credentials::ErrorKind::{
    self, Denied, ExpiredCredentials, InvalidConfiguration, InvalidResponse, Refused, Throttled, Timeout,
    TokenRejected, Unavailable,
};
use eks_credentials::SourceKind;

use crate::server::Step::{Drip, Echo, Hang, Pause, Redirect, Reset, Send, Spaces};
use crate::server::{Fault, Step};
use crate::support;

/// The expiry of the first credentials of a cell, and the expiry of those that a row may return.
pub(crate) const FIRST_EXPIRY: &str = "2030-01-01T01:00:00Z";
pub(crate) const FRESH_EXPIRY: &str = "2030-01-01T06:00:00Z";
pub(crate) const SECRET_KEY: &str = "local-secret-k8sMatrix0123456789abcdefghij";
pub(crate) const SESSION_TOKEN: &str = "local-session-FwoGZXIvYXdzEJrMatrix0123456789abcdefghijklmnopqrstuvwxyz";

/// Long enough for some retries.
const STARTUP: Duration = Duration::from_secs(2);
/// The timeout of an attempt in rows without a response. The startup timeout allows several attempts.
const SHORT_ATTEMPT: Duration = Duration::from_millis(500);

pub(crate) struct Row {
    pub(crate) source: SourceKind,
    /// Whether the server uses https, as STS does. Plain http uses another client.
    pub(crate) tls: bool,
    pub(crate) name: String,
    pub(crate) fault: Fault,
    pub(crate) expect: Expect,
    /// `None` for the default of the source.
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) startup_timeout: Duration,
}

#[derive(Clone, Copy)]
pub(crate) enum Expect {
    /// Credentials that expire at [`FRESH_EXPIRY`].
    Fresh,
    /// Credentials that never expire.
    NeverExpires,
    Fails {
        kind: ErrorKind,
        verdict: Verdict,
        /// The error code from the service.
        code: Option<&'static str>,
        /// A part of the message that says what happened.
        cause: &'static str,
        /// A part of the message that says what to do.
        remedy: &'static str,
    },
}

/// How a failure is treated. Written by hand from the documentation (`docs::failures`), and not from the code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) name: &'static str,
    pub(crate) retries_cold_start: bool,
    pub(crate) serves_expired: bool,
    pub(crate) falls_back: bool,
}

const TRANSIENT: Verdict =
    Verdict { name: "transient", retries_cold_start: true, serves_expired: true, falls_back: false };
const MISTAKE: Verdict =
    Verdict { name: "mistake", retries_cold_start: false, serves_expired: true, falls_back: false };
const PERMANENT: Verdict =
    Verdict { name: "permanent", retries_cold_start: false, serves_expired: false, falls_back: true };
const NOT_VISIBLE_YET: Verdict =
    Verdict { name: "not visible yet", retries_cold_start: true, serves_expired: false, falls_back: true };

const fn fails(verdict: Verdict, kind: ErrorKind, cause: &'static str, remedy: &'static str) -> Expect {
    Expect::Fails { kind, verdict, code: None, cause, remedy }
}

const fn passes(kind: ErrorKind, cause: &'static str, remedy: &'static str) -> Expect {
    fails(TRANSIENT, kind, cause, remedy)
}

const fn stays(kind: ErrorKind, cause: &'static str, remedy: &'static str) -> Expect {
    fails(PERMANENT, kind, cause, remedy)
}

const fn mistake(kind: ErrorKind, cause: &'static str, remedy: &'static str) -> Expect {
    fails(MISTAKE, kind, cause, remedy)
}

impl Expect {
    /// Adds the error code from the service.
    fn with_code(self, expected: &'static str) -> Self {
        match self {
            Self::Fails { kind, verdict, cause, remedy, .. } => {
                Self::Fails { kind, verdict, code: Some(expected), cause, remedy }
            }
            other => other,
        }
    }
}

impl Row {
    fn new(source: SourceKind, name: impl Into<String>, steps: impl Into<Vec<Step>>, expect: Expect) -> Self {
        let fault = Fault::Play(steps.into());
        Self { source, tls: false, name: name.into(), fault, expect, attempt_timeout: None, startup_timeout: STARTUP }
    }

    fn fault(source: SourceKind, name: &str, fault: Fault, expect: Expect) -> Self {
        Self { fault, ..Self::new(source, name, [], expect) }
    }

    pub(crate) fn title(&self) -> String {
        format!("{}{}: {}", self.source, if self.tls { " over https" } else { "" }, self.name)
    }

    fn attempts(self, attempt_timeout: Duration, startup_timeout: Duration) -> Self {
        Self { attempt_timeout: Some(attempt_timeout), startup_timeout, ..self }
    }

    fn starts_within(self, startup_timeout: Duration) -> Self {
        Self { startup_timeout, ..self }
    }
}

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    if cfg!(feature = "irsa") {
        rows.extend(refusals_of_sts());
        rows.extend(common(SourceKind::WebIdentity));
    }
    if cfg!(all(feature = "irsa", feature = "__tls")) {
        let wire = [transport, http, redirects].into_iter().flat_map(|rows| rows(SourceKind::WebIdentity));
        rows.extend(wire.map(|row| Row { tls: true, ..row }));
    }
    if cfg!(feature = "pod-identity") {
        rows.extend(answers_of_the_agent());
        rows.extend(common(SourceKind::PodIdentity));
    }
    rows
}

/// Codes that are transient with any status: codes that the AWS SDKs retry, and codes for a failure of the service.
const TRANSIENT_CODES: [(&str, ErrorKind); 23] = [
    ("Throttling", Throttled),
    ("ThrottlingException", Throttled),
    ("ThrottledException", Throttled),
    ("RequestThrottledException", Throttled),
    ("TooManyRequestsException", Throttled),
    ("TooManyRequests", Throttled),
    ("ProvisionedThroughputExceededException", Throttled),
    ("TransactionInProgressException", Throttled),
    ("RequestLimitExceeded", Throttled),
    ("BandwidthLimitExceeded", Throttled),
    ("LimitExceededException", Throttled),
    ("RequestThrottled", Throttled),
    ("SlowDown", Throttled),
    ("PriorRequestNotComplete", Throttled),
    ("EC2ThrottledException", Throttled),
    ("RequestTimeout", Unavailable),
    ("RequestTimeoutException", Unavailable),
    ("InternalFailure", Unavailable),
    ("InternalError", Unavailable),
    ("InternalServerError", Unavailable),
    ("InternalServerException", Unavailable),
    ("ServiceUnavailable", Unavailable),
    ("ServiceUnavailableException", Unavailable),
];

/// The error codes of STS (`src/docs/protocols.md`).
fn refusals_of_sts() -> Vec<Row> {
    const TRUST: &str = "compare the token's subject and audience with the conditions of the role's trust policy";
    const TOKEN: &str = "check that the token was issued by this cluster";
    const REQUEST: &str = "correct the role ARN, the session length, the session name or the session policy";
    const ROTATION: &str = "check that kubelet still rotates the token file and that the node's clock is correct";
    const ISSUER: &str = "check that the issuer's URL can be reached from the internet";
    const KEYS: &str = "Couldn't retrieve verification key from your identity provider, please reference \
                        AssumeRoleWithWebIdentity documentation for requirements";
    const NO_PROVIDER: &str = "No OpenIDConnect provider found in your account for https://oidc.example";
    const THUMBPRINT: &str = "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint";
    const FEWER: &str = "start fewer pods at the same time";
    const HEALTH: &str = "AWS Health Dashboard";
    let table = [
        (403, "AccessDenied", "Not authorized to perform sts:AssumeRole", stays(Denied, "Not authorized", TRUST)),
        (
            400,
            "InvalidIdentityToken",
            "Incorrect token audience",
            stays(Denied, "Incorrect token audience", "add this audience to the client ids"),
        ),
        (400, "InvalidIdentityToken", KEYS, passes(Unavailable, "verification key", ISSUER)),
        (400, "InvalidIdentityToken", NO_PROVIDER, stays(Denied, "No OpenIDConnect", "create an IAM OIDC provider")),
        (400, "InvalidIdentityToken", THUMBPRINT, stays(Denied, "thumbprint", "update the thumbprint")),
        (
            400,
            "InvalidIdentityToken",
            "The ID Token provided is not a valid JWT.",
            stays(Denied, "not a valid JWT", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        ),
        (
            400,
            "InvalidIdentityToken",
            "STS is not activated in this region",
            stays(Denied, "not activated", "enable this region"),
        ),
        (400, "InvalidIdentityToken", "Something else", stays(Denied, "Something else", TOKEN)),
        (
            403,
            "IDPRejectedClaim",
            "The identity provider rejected the claim",
            stays(Denied, "rejected the claim", TOKEN),
        ),
        (
            400,
            "MalformedPolicyDocument",
            "Syntax errors in policy",
            stays(Denied, "Syntax errors", "correct the session policy"),
        ),
        (
            400,
            "PackedPolicyTooLarge",
            "120 percent of the space",
            stays(Denied, "PackedPolicyTooLarge", "shorten the session policies"),
        ),
        (
            403,
            "RegionDisabledException",
            "STS is not activated",
            stays(Denied, "not activated", "enable this region in the role's account"),
        ),
        (400, "ValidationError", "1 validation error detected", mistake(Refused, "1 validation error", REQUEST)),
        (400, "IDPCommunicationError", "Error communicating", passes(Unavailable, "Error communicating", ISSUER)),
        (
            400,
            "ExpiredTokenException",
            "Token expired: current date/time",
            passes(TokenRejected, "Token expired", ROTATION),
        ),
        (503, "RequestLimitExceeded", "Request limit", passes(Throttled, "Request limit", FEWER)),
        (429, "TooManyRequests", "Slow down", passes(Throttled, "Slow down", FEWER)),
        (500, "InternalFailure", "We are sorry", passes(Unavailable, "InternalFailure", HEALTH)),
        (503, "ServiceUnavailable", "Try later", passes(Unavailable, "ServiceUnavailable", HEALTH)),
        (503, "SomethingNew", "Nobody knows", passes(Unavailable, "SomethingNew: Nobody knows", HEALTH)),
        (
            400,
            "SomethingNew",
            "Nobody knows",
            passes(Refused, "SomethingNew: Nobody knows", "see the STS API reference"),
        ),
        (
            403,
            "SomethingNew",
            "Nobody knows",
            passes(Refused, "SomethingNew: Nobody knows", "see the STS API reference"),
        ),
    ];
    let table = table.into_iter().chain(TRANSIENT_CODES.iter().map(|&(code, kind)| {
        let remedy = if kind == Throttled { FEWER } else { HEALTH };
        (400, code, "Later", passes(kind, "Later", remedy))
    }));
    let document = |root: &str, code: &str, message: &str, end: &str| {
        format!("{root}<Code>{code}</Code><Message>{message}</Message>{end}")
    };
    let mut rows: Vec<Row> = table
        .into_iter()
        .map(|(status, code, message, expect)| {
            let root = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>";
            let end = "</Error><RequestId>00000000-0000-4000-8000-0000000000ff</RequestId></ErrorResponse>";
            let name = format!("{status} {code}: {}", message.split(',').next().unwrap_or_default());
            let body = document(root, code, message, end);
            Row::new(SourceKind::WebIdentity, name, [whole(status, "text/xml", &body)], expect.with_code(code))
        })
        .collect();
    // Ceph RGW omits the outer element.
    for (status, name) in
        [(403, "403 AccessDenied in a bare <Error>"), (200, "200 with AccessDenied in a bare <Error>")]
    {
        let body =
            document("<?xml version=\"1.0\"?><Error>", "AccessDenied", "no", "<RequestId>tx0</RequestId></Error>");
        let expect = stays(Denied, "AccessDenied: no", TRUST).with_code("AccessDenied");
        rows.push(Row::new(SourceKind::WebIdentity, name, [whole(status, "application/xml", &body)], expect));
    }
    // XML of other servers, and texts that are not codes.
    for (name, body) in [
        ("403 with another root", "<Fault><Error><Code>AccessDenied</Code></Error></Fault>"),
        ("403 without a code", "<ErrorResponse><Error><Message>AccessDenied</Message></Error></ErrorResponse>"),
        ("403 with a sentence instead of a code", "<Error><Code>Access is denied here</Code></Error>"),
    ] {
        let expect = passes(InvalidResponse, "an XML or HTML document", "check AWS_ENDPOINT_URL_STS");
        rows.push(Row::new(SourceKind::WebIdentity, name, [whole(403, "text/xml", body)], expect));
    }
    rows
}

/// Responses of the agent (`src/docs/protocols.md`): plain-text errors, delays, and status 500 with an empty message.
fn answers_of_the_agent() -> Vec<Row> {
    const ROTATION: &str = "check that kubelet still rotates the token file and that the node's clock is correct";
    const LOGS: &str = "check the server's log";
    const FEWER: &str = "start fewer pods at the same time";
    const ADDRESS: &str = "use the agent's IP address in the URI, 169.254.170.23";
    const MOUNT: &str = "check that AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE is the path of the projected token";
    const FOREIGN: &str = "is the path of the token that this cluster projects";
    const BOUND: &str = "use a token that kubelet projects into the pod";
    const REQUEST: &str = "check the association (aws eks list-pod-identity-associations --cluster-name …)";
    const NOT_THE_AGENT: &str = "which server responds at that address";
    let exception =
        |name: &str, said: &str| format!("[00000000-0000-4000-8000-0000000000ff]: ({name}): {said}, fault: client");
    let claims = |why: &str| format!("Service account token failed basic claim validations: {why}");
    let deep = |why: &str| format!("Service account token failed claim validations: {why}");
    let signature = |why: &str| format!("JWT signature validation failed: cryptographic validation failed: {why}");
    let s = Duration::from_secs;
    let association = "aws eks create-pod-identity-association";
    [
        (
            403,
            0,
            "Access Denied. Called agent through invalid address, please use one of the following".into(),
            mistake(InvalidConfiguration, "invalid address", ADDRESS),
        ),
        (
            404,
            0,
            "404 page not found\n".into(),
            passes(InvalidResponse, "returned status 404 with text", "the path in the URI"),
        ),
        (
            400,
            0,
            "Service account token cannot be empty".into(),
            stays(Denied, "cannot be empty", "set AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
        ),
        (
            400,
            0,
            "Service account token cannot be parsed: token is malformed: token contains an invalid number of segments"
                .into(),
            stays(Denied, "token is malformed", MOUNT),
        ),
        (400, 0, claims("token is expired"), passes(TokenRejected, "token is expired", ROTATION)),
        (400, 0, claims("token is not valid yet"), passes(TokenRejected, "not valid yet", ROTATION)),
        (400, 0, "Service account token missing pod claims".into(), stays(Denied, "missing pod claims", BOUND)),
        (400, 0, deep("missing claim: kubernetes.io/pod"), stays(Denied, "kubernetes.io/pod", BOUND)),
        (
            400,
            0,
            deep("invalid audience: expected pods.eks.amazonaws.com"),
            stays(TokenRejected, "invalid audience", "to the path of the token with the audience"),
        ),
        (400, 0, signature("no matching key found for kid: 00"), stays(TokenRejected, "no matching key", FOREIGN)),
        (400, 0, signature("key refresh failed: refused"), passes(Unavailable, "key refresh failed", LOGS)),
        (400, 0, claims("token used before issued"), passes(TokenRejected, "used before issued", ROTATION)),
        (400, 0, deep("missing header: kid"), stays(TokenRejected, "header: kid", FOREIGN)),
        (400, 0, deep("something new"), passes(Refused, "something new", "see the EKS Auth API reference")),
        (
            400,
            0,
            exception("AccessDeniedException", "Unauthorized"),
            stays(Denied, "AccessDeniedException", "sts:TagSession").with_code("AccessDeniedException"),
        ),
        (
            400,
            0,
            exception("ExpiredTokenException", "expired"),
            passes(TokenRejected, "ExpiredTokenException", ROTATION).with_code("ExpiredTokenException"),
        ),
        (
            400,
            0,
            exception("InvalidTokenException", "invalid"),
            stays(TokenRejected, "InvalidTokenException", FOREIGN).with_code("InvalidTokenException"),
        ),
        (
            400,
            0,
            exception("InvalidTokenException", "wrong audience"),
            stays(TokenRejected, "wrong audience", "to the path of the token with the audience")
                .with_code("InvalidTokenException"),
        ),
        (
            400,
            0,
            exception("PackedPolicyTooLarge", "120 percent"),
            stays(Denied, "120 percent", "--disable-session-tags").with_code("PackedPolicyTooLarge"),
        ),
        (
            400,
            0,
            exception("PackedPolicyTooLargeException", "120 percent"),
            stays(Denied, "120 percent", "--disable-session-tags").with_code("PackedPolicyTooLargeException"),
        ),
        (
            400,
            0,
            exception("AccessDeniedException", "Packed policy consumes 120 percent"),
            stays(Denied, "120 percent", "--disable-session-tags").with_code("AccessDeniedException"),
        ),
        (
            400,
            0,
            exception("InvalidRequestException", "Packed policy consumes 120 percent"),
            stays(Denied, "120 percent", "--disable-session-tags").with_code("InvalidRequestException"),
        ),
        (
            400,
            0,
            exception("InvalidParameterException", "Packed policy consumes 120 percent"),
            stays(Denied, "120 percent", "--disable-session-tags").with_code("InvalidParameterException"),
        ),
        (
            400,
            0,
            exception("InvalidParameterException", "bad"),
            mistake(Refused, "InvalidParameterException", REQUEST).with_code("InvalidParameterException"),
        ),
        (
            400,
            0,
            exception("InvalidRequestException", "bad"),
            mistake(Refused, "InvalidRequestException", REQUEST).with_code("InvalidRequestException"),
        ),
        (
            400,
            0,
            exception("SomethingNewException", "new"),
            passes(Refused, "SomethingNewException", "see the EKS Auth API reference")
                .with_code("SomethingNewException"),
        ),
        (
            404,
            0,
            exception("ResourceNotFoundException", "No association"),
            fails(NOT_VISIBLE_YET, Denied, "No association", association).with_code("ResourceNotFoundException"),
        ),
        (
            429,
            4,
            exception("ThrottlingException", "Rate exceeded"),
            passes(Throttled, "Rate exceeded", FEWER).with_code("ThrottlingException"),
        ),
        (
            500,
            2,
            exception("InternalServerException", "sorry"),
            passes(Unavailable, "InternalServerException", LOGS).with_code("InternalServerException"),
        ),
        (
            503,
            2,
            exception("ServiceUnavailableException", "busy"),
            passes(Unavailable, "ServiceUnavailableException", LOGS).with_code("ServiceUnavailableException"),
        ),
        (500, 4, "[]\n".into(), passes(Unavailable, "returned status 500: []", LOGS)),
        (
            200,
            0,
            "[00000000-0000-4000-8000-0000000000ff]".into(),
            passes(InvalidResponse, "not the expected JSON", NOT_THE_AGENT),
        ),
        (429, 0, "Too Many Requests\n".into(), passes(Throttled, "Too Many Requests", FEWER)),
        // Other servers with similar texts.
        (403, 0, "Access Denied".into(), passes(InvalidResponse, "returned status 403 with text", NOT_THE_AGENT)),
        (401, 0, "(AccessDeniedException)".into(), passes(InvalidResponse, "not from the container", NOT_THE_AGENT)),
        (
            400,
            0,
            "<p>(AccessDeniedException): no, fault: client</p>".into(),
            passes(InvalidResponse, "not from the container", NOT_THE_AGENT),
        ),
    ]
    .into_iter()
    .chain(TRANSIENT_CODES.iter().map(|&(code, kind)| {
        let expect = passes(kind, code, if kind == Throttled { FEWER } else { LOGS });
        (400, 0, exception(code, "later"), expect.with_code(code))
    }))
    .map(|(status, delay, body, expect): (u16, u64, String, Expect)| {
        let after = if delay > 0 { format!(" after {delay} s") } else { String::new() };
        let name = format!("{status}{after}: {}", body.trim());
        let steps = [Pause(s(delay)), whole(status, "text/plain; charset=utf-8", &body)];
        // Two attempts, and a third one that the startup timeout ends.
        Row::new(SourceKind::PodIdentity, name, steps, expect).starts_within(s(2 * delay + 2))
    })
    .chain([
        Row::new(
            SourceKind::PodIdentity,
            "credentials after 9 s",
            [Pause(s(9)), good(SourceKind::PodIdentity)],
            Expect::Fresh,
        )
        .starts_within(s(20)),
        Row::new(
            SourceKind::PodIdentity,
            "200 with an Expiration that is a number",
            [whole(
                200,
                "application/json",
                &document(SourceKind::PodIdentity, &[]).replace(&format!("\"{FRESH_EXPIRY}\""), "1893477600"),
            )],
            passes(InvalidResponse, "Expiration is not a string", NOT_THE_AGENT),
        ),
        json_error(
            403,
            r#"{"code":"AccessDeniedException","message":"no"}"#,
            stays(Denied, "returned status 403", "sts:TagSession").with_code("AccessDeniedException"),
        ),
        json_error(
            403,
            r#"{"Code":"AccessDeniedException","Message":"no"}"#,
            stays(Denied, "returned status 403", "sts:TagSession").with_code("AccessDeniedException"),
        ),
        json_error(
            200,
            r#"{"Code":"AccessDeniedException","Message":"no"}"#,
            stays(Denied, "returned status 200 AccessDeniedException: no", "sts:TagSession")
                .with_code("AccessDeniedException"),
        ),
        json_error(
            400,
            r#"{"Code":"Unheard","Message":"of"}"#,
            passes(Refused, "Unheard: of", "see the EKS Auth API reference").with_code("Unheard"),
        ),
        json_error(403, r#"{"Code":403,"Message":"no"}"#, passes(InvalidResponse, "a JSON document", NOT_THE_AGENT)),
    ])
    .chain(
        // A field that is not needed may have any type.
        [
            "\"AccountId\":123",
            "\"AccountId\":null",
            "\"AccountId\":{\"a\":[1,2.5,true]}",
            "\"Code\":200",
            "\"Code\":\"Success\"",
            "\"Code\":[]",
            "\"Message\":false",
        ]
        .map(|field| {
            let body =
                document(SourceKind::PodIdentity, &[("AccountId", None)]).replacen('{', &format!("{{{field},"), 1);
            let name = format!("200 with {field}");
            Row::new(SourceKind::PodIdentity, name, [whole(200, "application/json", &body)], Expect::Fresh)
        }),
    )
    .collect()
}

/// Errors of other container credentials servers (`src/docs/protocols.md`).
fn json_error(status: u16, body: &str, expect: Expect) -> Row {
    let steps = [whole(status, "application/json", body)];
    Row::new(SourceKind::PodIdentity, format!("{status} {body}"), steps, expect)
}

/// Responses that can come from either source, or from a server in its place.
fn common(source: SourceKind) -> Vec<Row> {
    let mut rows = transport(source);
    rows.extend(http(source));
    rows.extend(redirects(source));
    rows.extend(other_servers(source));
    rows.extend(fields(source));
    rows.extend(dates(source));
    rows
}

/// Connections that are closed, or that hang.
fn transport(source: SourceKind) -> Vec<Row> {
    let check =
        if source == SourceKind::WebIdentity { "the pod's egress" } else { "check that the server at that address" };
    let reset = || passes(Unavailable, "reset the connection", check);
    let closed = || passes(Unavailable, "closed the connection before the response was complete", check);
    let late = || passes(Timeout, "did not respond within", check);
    let row = |name: &str, steps: Vec<Step>, expect| Row::new(source, name, steps, expect);
    let hangs = |name: &str, steps: Vec<Step>| row(name, steps, late()).attempts(SHORT_ATTEMPT, STARTUP);
    let (head, body) = halves(source);
    let cut = |bytes: &[u8]| Send(bytes[..bytes.len() / 2].to_vec());
    let second = Duration::from_secs(1);
    vec![
        Row::fault(source, "no server listens", Fault::Refused, passes(Unavailable, "refused the connection", check)),
        Row::fault(source, "reset before the request is read", Fault::ResetUnread, reset()),
        row("reset before the head", vec![Reset], reset()),
        row("reset within the head", vec![cut(&head), Reset], reset()),
        row("reset between head and body", vec![Send(head.clone()), Reset], reset()),
        row("reset within the body", vec![Send(head.clone()), cut(&body), Reset], reset()),
        row("closed before the head", vec![], closed()),
        row("closed within the head", vec![cut(&head)], closed()),
        row("closed between head and body", vec![Send(head.clone())], closed()),
        row("closed within the body", vec![Send(head.clone()), cut(&body)], closed()),
        row("closed within a chunk", vec![Send(chunked(b"400\r\n{\"AccessKeyId\":"))], closed()),
        row("closed before the last chunk", vec![Send(chunked(b"2\r\n{}\r\n"))], closed()),
        hangs("no response", vec![Hang]),
        hangs("a head that stops", vec![cut(&head), Hang]),
        hangs("a head and nothing more", vec![Send(head.clone()), Hang]),
        hangs("a body that stops", vec![Send(head.clone()), cut(&body), Hang]),
        row("one byte a second", vec![Drip([head.clone(), body.clone()].concat(), second)], late())
            .attempts(Duration::from_millis(2100), Duration::from_millis(4500)),
        row("a body of one byte a second", vec![Send(head), Drip(body, second)], late())
            .attempts(Duration::from_millis(2100), Duration::from_millis(4500)),
    ]
}

/// Responses that HTTP allows, and responses that it does not allow.
fn http(source: SourceKind) -> Vec<Row> {
    let row = |name: &str, steps: Vec<Step>, expect| Row::new(source, name, steps, expect);
    let other = "which server responds at that address";
    let too_large = || passes(InvalidResponse, "more than 64 KiB", other);
    let not_http = || passes(InvalidResponse, "not HTTP", other);
    let body = document(source, &[]);
    let (length, text) = (body.len(), content_type(source));
    let with_head = |head: String| vec![Send(format!("{head}\r\n\r\n{body}").into_bytes())];
    let lengths = |lengths: &str| with_head(format!("HTTP/1.1 200 OK\r\ncontent-type: {text}\r\n{lengths}"));
    let endless = |length: &str| Send(format!("HTTP/1.1 200 OK\r\ncontent-type: {text}\r\n{length}\r\n").into_bytes());
    vec![
        row("a body that never ends", vec![endless(""), Spaces(usize::MAX)], too_large()),
        row("10 MB", vec![endless("content-length: 10000000\r\n"), Spaces(10_000_000)], too_large()),
        row(
            "credentials and 64 KiB of spaces",
            vec![endless(""), Send(body.clone().into()), Spaces(64 * 1024)],
            too_large(),
        ),
        row(
            "a Content-Length of one byte too many",
            lengths(&format!("content-length: {}", length + 1)),
            passes(Unavailable, "closed the connection before the response was complete", "check "),
        ),
        row(
            "a Content-Length of ten bytes too few",
            lengths(&format!("content-length: {}", length - 10)),
            passes(InvalidResponse, "a body that is not the expected", other),
        ),
        row("a Content-Length that is not a number", lengths("content-length: many"), not_http()),
        row(
            "two Content-Lengths that differ",
            lengths(&format!("content-length: {length}\r\ncontent-length: 7")),
            not_http(),
        ),
        row("two hundred header fields", lengths(&"x: y\r\n".repeat(200)), not_http()),
        row("an SSH banner", vec![Send(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec())], not_http()),
        row("a TLS alert", vec![Send(b"\x15\x03\x01\x00\x02\x02\x46".to_vec())], not_http()),
        row("HTTP/1.0 without a length", with_head(format!("HTTP/1.0 200 OK\r\ncontent-type: {text}")), Expect::Fresh),
        row("chunked", vec![Send(chunked(format!("{length:x}\r\n{body}\r\n0\r\n\r\n").as_bytes()))], Expect::Fresh),
        row(
            "100 Continue, then credentials",
            vec![Send(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()), good(source)],
            Expect::Fresh,
        ),
        row("credentials as text/plain", vec![whole(200, "text/plain", &body)], Expect::Fresh),
        row(
            "credentials without a content type",
            with_head(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}")),
            Expect::Fresh,
        ),
        row("credentials in a body that claims to be gzip", lengths("content-encoding: gzip"), Expect::Fresh),
        row(
            "credentials under 201",
            vec![whole(201, text, &body)],
            passes(InvalidResponse, "a body with credentials", other),
        ),
    ]
}

fn redirects(source: SourceKind) -> Vec<Row> {
    let expect = passes(InvalidResponse, "a redirect", "which server responds at that address");
    let row = |status| Row::new(source, format!("{status} to another host"), [Redirect(status)], expect);
    [301, 302, 303, 307, 308].map(row).into()
}

/// Responses of proxies, captive portals and load balancers.
fn other_servers(source: SourceKind) -> Vec<Row> {
    let other = "which server responds at that address";
    let html = |status: u16, expect| {
        let body = format!("<html><head><title>{status}</title></head><body>a proxy says {status}</body></html>");
        Row::new(source, format!("{status} in HTML"), [whole(status, "text/html", &body)], expect)
    };
    let foreign = "the response is not from";
    let passes_with = |status: u16| match status {
        429 => passes(Throttled, foreign, other),
        408 | 425 | 500.. => passes(Unavailable, foreign, other),
        _ => passes(InvalidResponse, foreign, other),
    };
    let mut rows = vec![
        Row::new(
            source,
            "200 and an empty body",
            [whole(200, content_type(source), "")],
            passes(InvalidResponse, "an empty body", other),
        ),
        Row::new(
            source,
            "204",
            [Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())],
            passes(InvalidResponse, "returned status 204", other),
        ),
        html(200, passes(InvalidResponse, "not the expected", other)),
        Row::new(source, "400 that quotes the token", [Echo(400)], passes(InvalidResponse, "400 with text", other)),
        Row::new(source, "500 that quotes the token", [Echo(500)], passes(Unavailable, "500 with text", other)),
        Row::new(source, "200 that quotes the token", [Echo(200)], passes(InvalidResponse, "not the expected", other)),
        Row::new(
            source,
            "200 and bytes that are not text",
            [whole_bytes(b"\xff\xfe\x00\x01")],
            passes(InvalidResponse, "not ", other),
        ),
    ];
    // None of these is a refusal by the service, with any status.
    let statuses = [400, 401, 403, 404, 405, 407, 408, 413, 418, 421, 425, 429, 431, 451, 500, 502, 503, 504, 511];
    for status in statuses {
        // With 404, the path may be wrong.
        let expect = match (source, status) {
            (SourceKind::PodIdentity, 404) => passes(InvalidResponse, foreign, "the path in the URI"),
            _ => passes_with(status),
        };
        rows.push(html(status, expect));
        rows.push(Row::new(source, format!("{status} and an empty body"), [whole(status, "text/plain", "")], expect));
    }
    rows
}

/// Responses in which one field is missing, empty or blank.
fn fields(source: SourceKind) -> Vec<Row> {
    const OTHER: &str = "which server responds at that address";
    let token = session_token(source);
    let row = |what: &str, field: &str, value: Option<&str>, expect| {
        let body = document(source, &[(field, value)]);
        Row::new(source, format!("200 {what} {field}"), [whole(200, content_type(source), &body)], expect)
    };
    let mut rows = Vec::new();
    for (field, lacking, empty) in [
        ("AccessKeyId", "AccessKeyId", "an empty AccessKeyId"),
        ("SecretAccessKey", "SecretAccessKey", "an empty SecretAccessKey"),
        (token, token, "an empty session token"),
    ] {
        rows.push(row("without", field, None, passes(InvalidResponse, lacking, OTHER)));
        rows.push(row("with an empty", field, Some(""), passes(InvalidResponse, empty, OTHER)));
        rows.push(row("with a blank", field, Some(" "), passes(InvalidResponse, empty, OTHER)));
    }
    // A generic container server may return credentials that never expire. STS never does.
    let without_expiry = if source == SourceKind::PodIdentity {
        Expect::NeverExpires
    } else {
        passes(InvalidResponse, "Expiration", OTHER)
    };
    rows.push(row("without", "Expiration", None, without_expiry));
    rows
}

/// The same time in every format of RFC 3339, texts in other formats, and times in the past.
fn dates(source: SourceKind) -> Vec<Row> {
    let row = |date: &str, expect| {
        let body = document(source, &[("Expiration", Some(date))]);
        Row::new(
            source,
            format!("200 with the Expiration \"{date}\""),
            [whole(200, content_type(source), &body)],
            expect,
        )
    };
    let valid = [
        "2030-01-01T06:00:00Z",
        "2030-01-01T06:00:00.0Z",
        "2030-01-01T06:00:00.000Z",
        "2030-01-01T06:00:00.000000Z",
        "2030-01-01T06:00:00.000000000Z",
        "2030-01-01T06:00:00.000000000000Z",
        "2030-01-01T06:00:00+00:00",
        "2030-01-01T06:00:00-00:00",
        "2030-01-01T06:00:00+0000",
        "2030-01-01T08:00:00+02:00",
        "2029-12-31T22:30:00.000-07:30",
        "2030-01-01t06:00:00z",
    ];
    let invalid = [
        "",
        "soon",
        "2030-01-01",
        "06:00:00Z",
        "2030-01-01T06:00:00",
        "2030-02-30T06:00:00Z",
        "2030-01-01T25:00:00Z",
        "Tue, 01 Jan 2030 06:00:00 GMT",
        "1893477600",
        "20300101T060000Z",
    ];
    let rejected = || passes(InvalidResponse, "which is not an RFC 3339 date", "which server responds at that address");
    let past = || passes(ExpiredCredentials, "had expired at", "check the node's clock");
    valid
        .map(|date| row(date, Expect::Fresh))
        .into_iter()
        .chain(invalid.map(|date| row(date, rejected())))
        .chain(["2029-12-31T23:59:59Z", "1970-01-01T00:00:00Z"].map(|date| row(date, past())))
        .collect()
}

/// A complete response with credentials that expire at [`FRESH_EXPIRY`].
pub(crate) fn good(source: SourceKind) -> Step {
    whole(200, content_type(source), &document(source, &[]))
}

/// The first response in a cell.
pub(crate) fn first(source: SourceKind) -> Fault {
    let body = document(source, &[("AccessKeyId", Some("ASIALOCALFIRST")), ("Expiration", Some(FIRST_EXPIRY))]);
    Fault::Play(vec![whole(200, content_type(source), &body)])
}

/// The body of a response, with changed or missing fields.
fn document(source: SourceKind, changes: &[(&str, Option<&str>)]) -> String {
    let fields = [
        ("AccessKeyId", "ASIALOCALFRESH"),
        ("SecretAccessKey", SECRET_KEY),
        (session_token(source), SESSION_TOKEN),
        ("Expiration", FRESH_EXPIRY),
    ];
    let fields = fields.into_iter().filter_map(|(name, value)| {
        let change = changes.iter().find(|(changed, _)| *changed == name);
        Some((name, change.map_or(Some(value), |(_, value)| *value)?))
    });
    match source {
        SourceKind::WebIdentity => {
            let fields: String = fields.map(|(name, value)| format!("<{name}>{value}</{name}>")).collect();
            format!(
                "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <AssumeRoleWithWebIdentityResult><AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/r/s</Arn>\
                 </AssumedRoleUser><Credentials>{fields}</Credentials></AssumeRoleWithWebIdentityResult>\
                 </AssumeRoleWithWebIdentityResponse>"
            )
        }
        _ => {
            let fields: Vec<String> = fields.map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
            format!("{{{},\"AccountId\":\"111122223333\"}}", fields.join(","))
        }
    }
}

fn session_token(source: SourceKind) -> &'static str {
    if source == SourceKind::WebIdentity { "SessionToken" } else { "Token" }
}

fn content_type(source: SourceKind) -> &'static str {
    if source == SourceKind::WebIdentity { "text/xml" } else { "application/json" }
}

fn whole(status: u16, content_type: &str, body: &str) -> Step {
    Send(support::http(status, content_type, body).into_bytes())
}

fn whole_bytes(body: &[u8]) -> Step {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    Send([head.as_bytes(), body].concat())
}

/// The head and the body of a complete response.
fn halves(source: SourceKind) -> (Vec<u8>, Vec<u8>) {
    let Send(whole) = good(source) else { unreachable!("a response is sent") };
    let body = whole.len() - document(source, &[]).len();
    (whole[..body].to_vec(), whole[body..].to_vec())
}

fn chunked(body: &[u8]) -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", body].concat()
}
