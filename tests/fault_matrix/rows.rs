//! The table: every answer that the protocols know, and those that only a broken network or a wrong server gives.
//!
//! What each one means is written here by hand, from the protocols and not from the code, so that no snapshot can bless
//! a wrong classification.

use std::time::Duration;

use eks_credentials::ErrorKind::{
    self, Denied, ExpiredCredentials, InvalidConfiguration, InvalidResponse, Throttled, Timeout, TokenRejected,
    Unavailable,
};
use eks_credentials::SourceKind;

use crate::server::Step::{Drip, Echo, Hang, Pause, Redirect, Reset, Send, Spaces};
use crate::server::{Fault, Step};
use crate::support;

/// Of the credentials that a cell begins with, and of those that a fault may bring instead.
pub(crate) const FIRST_EXPIRY: &str = "2030-01-01T01:00:00Z";
pub(crate) const FRESH_EXPIRY: &str = "2030-01-01T06:00:00Z";
pub(crate) const SECRET_KEY: &str = "local-secret-k8sMatrix0123456789abcdefghij";
pub(crate) const SESSION_TOKEN: &str = "local-session-FwoGZXIvYXdzEJrMatrix0123456789abcdefghijklmnopqrstuvwxyz";

/// Long enough for some retries.
const STARTUP: Duration = Duration::from_secs(2);
/// For answers that never come: an attempt, and a start that sees two of them.
const SHORT_ATTEMPT: Duration = Duration::from_millis(500);

pub(crate) struct Row {
    pub(crate) source: SourceKind,
    /// Over https, as STS really is: by another client than plain http.
    pub(crate) tls: bool,
    pub(crate) name: String,
    pub(crate) fault: Fault,
    pub(crate) expect: Expect,
    /// `None`: the source's own.
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) startup_timeout: Duration,
}

#[derive(Clone, Copy)]
pub(crate) enum Expect {
    /// Credentials that expire at [`FRESH_EXPIRY`].
    Fresh,
    /// Credentials that never expire.
    Everlasting,
    Fails {
        kind: ErrorKind,
        transient: bool,
        /// A part of the message that says what happened.
        cause: &'static str,
        /// A part of the message that says what to do.
        remedy: &'static str,
    },
}

const fn passes(kind: ErrorKind, cause: &'static str, remedy: &'static str) -> Expect {
    Expect::Fails { kind, transient: true, cause, remedy }
}

const fn stays(kind: ErrorKind, cause: &'static str, remedy: &'static str) -> Expect {
    Expect::Fails { kind, transient: false, cause, remedy }
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

/// PROTOCOLS §2: the codes of STS.
fn refusals_of_sts() -> Vec<Row> {
    const TRUST: &str = "compare them with the conditions of the role's trust policy";
    const PROVIDER: &str = "check that the role's account has an IAM OIDC provider for this issuer";
    const REQUEST: &str = "correct the role ARN, duration, session name or session policy";
    const ROTATION: &str = "check that kubelet still rotates the token file and that the node's clock is right";
    const ISSUER: &str = "check that the issuer's URL can be reached from the internet";
    const KEYS: &str = "Couldn't retrieve verification key from your identity provider, please reference \
                        AssumeRoleWithWebIdentity documentation for requirements";
    [
        (
            403,
            "AccessDenied",
            "Not authorized to perform sts:AssumeRoleWithWebIdentity",
            stays(Denied, "Not authorized", TRUST),
        ),
        (400, "InvalidIdentityToken", "Incorrect token audience", stays(Denied, "Incorrect token audience", PROVIDER)),
        (400, "InvalidIdentityToken", KEYS, passes(Unavailable, "verification key", ISSUER)),
        (
            403,
            "IDPRejectedClaim",
            "The identity provider rejected the claim",
            stays(Denied, "rejected the claim", PROVIDER),
        ),
        (400, "MalformedPolicyDocument", "Syntax errors in policy", stays(Denied, "Syntax errors", REQUEST)),
        (400, "PackedPolicyTooLarge", "120 percent of the space", stays(Denied, "PackedPolicyTooLarge", REQUEST)),
        (
            403,
            "RegionDisabledException",
            "STS is not activated",
            stays(Denied, "not activated", "activate STS for this region"),
        ),
        (400, "ValidationError", "1 validation error detected", stays(Denied, "1 validation error", REQUEST)),
        (400, "IDPCommunicationError", "Error communicating", passes(Unavailable, "Error communicating", ISSUER)),
        (
            400,
            "ExpiredTokenException",
            "Token expired: current date/time",
            passes(TokenRejected, "Token expired", ROTATION),
        ),
        (400, "Throttling", "Rate exceeded", passes(Throttled, "Rate exceeded", "start fewer pods at once")),
        (400, "ThrottlingException", "Rate exceeded", passes(Throttled, "Rate exceeded", "start fewer pods at once")),
        (503, "RequestLimitExceeded", "Request limit", passes(Throttled, "Request limit", "start fewer pods at once")),
        (429, "TooManyRequests", "Slow down", passes(Throttled, "Slow down", "start fewer pods at once")),
        (500, "InternalFailure", "We are sorry", passes(Unavailable, "InternalFailure", "AWS Health Dashboard")),
        (503, "ServiceUnavailable", "Try later", passes(Unavailable, "ServiceUnavailable", "AWS Health Dashboard")),
        (400, "SomethingNew", "Nobody knows", stays(Denied, "SomethingNew: Nobody knows", "see the STS API reference")),
    ]
    .into_iter()
    .map(|(status, code, message, expect)| {
        let body = format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}\
             </Code><Message>{message}</Message></Error><RequestId>00000000-0000-4000-8000-0000000000ff</RequestId>\
             </ErrorResponse>"
        );
        let name = format!("{status} {code}: {}", message.split(',').next().unwrap_or_default());
        Row::new(SourceKind::WebIdentity, name, [whole(status, "text/xml", &body)], expect)
    })
    .collect()
}

/// PROTOCOLS §1: the agent's plain-text errors, its delays, its bug.
fn answers_of_the_agent() -> Vec<Row> {
    const ROTATION: &str = "check that kubelet still rotates the token file and that the node's clock is right";
    const LOGS: &str = "see its log";
    const FEWER: &str = "start fewer pods at once";
    const ADDRESS: &str = "the URI must name the agent by its address, 169.254.170.23";
    const MOUNT: &str = "check that AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names the projected token";
    const REQUEST: &str = "check the association (aws eks list-pod-identity-associations --cluster-name …)";
    let exception =
        |name: &str, said: &str| format!("[00000000-0000-4000-8000-0000000000ff]: ({name}): {said}, fault: client");
    let claims = |why: &str| format!("Service account token failed basic claim validations: {why}");
    let s = Duration::from_secs;
    [
        (
            403,
            0,
            "Access Denied. Called agent through invalid address, please use one of the following".into(),
            stays(InvalidConfiguration, "invalid address", ADDRESS),
        ),
        (
            404,
            0,
            "404 page not found\n".into(),
            stays(InvalidConfiguration, "404 page not found", "the agent's is /v1/credentials"),
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
        (
            400,
            0,
            exception("AccessDeniedException", "Unauthorized"),
            stays(Denied, "AccessDeniedException", "sts:TagSession"),
        ),
        (
            400,
            0,
            exception("ExpiredTokenException", "expired"),
            passes(TokenRejected, "ExpiredTokenException", ROTATION),
        ),
        (
            400,
            0,
            exception("InvalidTokenException", "invalid"),
            passes(TokenRejected, "InvalidTokenException", ROTATION),
        ),
        (400, 0, exception("InvalidParameterException", "bad"), stays(Denied, "InvalidParameterException", REQUEST)),
        (400, 0, exception("InvalidRequestException", "bad"), stays(Denied, "InvalidRequestException", REQUEST)),
        (
            404,
            0,
            exception("ResourceNotFoundException", "No association"),
            stays(Denied, "No association", "aws eks create-pod-identity-association"),
        ),
        (429, 4, exception("ThrottlingException", "Rate exceeded"), passes(Throttled, "Rate exceeded", FEWER)),
        (500, 2, exception("InternalServerException", "sorry"), passes(Unavailable, "InternalServerException", LOGS)),
        (
            503,
            2,
            exception("ServiceUnavailableException", "busy"),
            passes(Unavailable, "ServiceUnavailableException", LOGS),
        ),
        (500, 4, "[]\n".into(), passes(Unavailable, "answered 500: []", LOGS)),
        (
            200,
            0,
            "[00000000-0000-4000-8000-0000000000ff]".into(),
            passes(InvalidResponse, "not its JSON", "another server"),
        ),
        (429, 0, "Too Many Requests\n".into(), passes(Throttled, "Too Many Requests", FEWER)),
    ]
    .into_iter()
    .map(|(status, delay, body, expect): (u16, u64, String, Expect)| {
        let after = if delay > 0 { format!(" after {delay} s") } else { String::new() };
        let name = format!("{status}{after}: {}", body.trim());
        let steps = [Pause(s(delay)), whole(status, "text/plain; charset=utf-8", &body)];
        // Twice, and a third time that the budget cuts short.
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
            passes(InvalidResponse, "not its JSON", "check what answers at that address"),
        ),
        json_error(r#"{"code":"AccessDeniedException","message":"no"}"#, "sts:TagSession"),
        json_error(r#"{"Code":"AccessDeniedException","Message":"no"}"#, "sts:TagSession"),
        json_error(r#"{"Code":"Unheard","Message":"of"}"#, "see the EKS Auth API reference"),
    ])
    .collect()
}

/// Of other container credentials servers (PROTOCOLS §5).
fn json_error(body: &str, remedy: &'static str) -> Row {
    let steps = [whole(403, "application/json", body)];
    Row::new(SourceKind::PodIdentity, format!("403 {body}"), steps, stays(Denied, "answered 403", remedy))
}

/// What can come from either source, or from what stands in its place.
fn common(source: SourceKind) -> Vec<Row> {
    let mut rows = transport(source);
    rows.extend(http(source));
    rows.extend(redirects(source));
    rows.extend(other_servers(source));
    rows.extend(fields(source));
    rows.extend(dates(source));
    rows
}

/// Connections that break, or hang.
fn transport(source: SourceKind) -> Vec<Row> {
    let check =
        if source == SourceKind::WebIdentity { "check the pod's egress" } else { "check that the server behind" };
    let reset = || passes(Unavailable, "reset the connection", check);
    let closed = || passes(Unavailable, "closed the connection before its answer was complete", check);
    let late = || passes(Timeout, "did not answer within", check);
    let row = |name: &str, steps: Vec<Step>, expect| Row::new(source, name, steps, expect);
    let hangs = |name: &str, steps: Vec<Step>| row(name, steps, late()).attempts(SHORT_ATTEMPT, STARTUP);
    let (head, body) = halves(source);
    let cut = |bytes: &[u8]| Send(bytes[..bytes.len() / 2].to_vec());
    let second = Duration::from_secs(1);
    vec![
        Row::fault(source, "nobody listens", Fault::Refused, passes(Unavailable, "refused the connection", check)),
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
        hangs("no answer", vec![Hang]),
        hangs("a head that stops", vec![cut(&head), Hang]),
        hangs("a head and nothing more", vec![Send(head.clone()), Hang]),
        hangs("a body that stops", vec![Send(head.clone()), cut(&body), Hang]),
        row("one byte a second", vec![Drip([head.clone(), body.clone()].concat(), second)], late())
            .attempts(Duration::from_millis(2100), Duration::from_millis(4500)),
        row("a body of one byte a second", vec![Send(head), Drip(body, second)], late())
            .attempts(Duration::from_millis(2100), Duration::from_millis(4500)),
    ]
}

/// What HTTP allows, and what it does not.
fn http(source: SourceKind) -> Vec<Row> {
    let row = |name: &str, steps: Vec<Step>, expect| Row::new(source, name, steps, expect);
    let other = "check what answers at that address";
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
            passes(Unavailable, "closed the connection before its answer was complete", "check "),
        ),
        row(
            "a Content-Length of ten bytes too few",
            lengths(&format!("content-length: {}", length - 10)),
            passes(InvalidResponse, "something that is not its", other),
        ),
        row("a Content-Length that is no number", lengths("content-length: many"), not_http()),
        row(
            "two Content-Lengths that differ",
            lengths(&format!("content-length: {length}\r\ncontent-length: 7")),
            not_http(),
        ),
        row("two hundred header fields", lengths(&"x: y\r\n".repeat(200)), not_http()),
        row("a greeting of SSH", vec![Send(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec())], not_http()),
        row("an alert of TLS", vec![Send(b"\x15\x03\x01\x00\x02\x02\x46".to_vec())], not_http()),
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
            passes(InvalidResponse, "[a body with credentials]", other),
        ),
    ]
}

fn redirects(source: SourceKind) -> Vec<Row> {
    let expect = passes(InvalidResponse, "a redirect", "check what answers at that address");
    let row = |status| Row::new(source, format!("{status} to another host"), [Redirect(status)], expect);
    [301, 302, 303, 307, 308].map(row).into()
}

/// Proxies, portals, load balancers.
fn other_servers(source: SourceKind) -> Vec<Row> {
    let other = "check what answers at that address";
    let html = |status: u16, expect| {
        let body = format!("<html><head><title>{status}</title></head><body>a proxy says {status}</body></html>");
        Row::new(source, format!("{status} in HTML"), [whole(status, "text/html", &body)], expect)
    };
    let (busy, slower) = match source {
        SourceKind::WebIdentity => ("AWS Health Dashboard", "start fewer pods at once"),
        _ => ("see its log", "start fewer pods at once"),
    };
    let not_found = if source == SourceKind::PodIdentity { InvalidConfiguration } else { Denied };
    let path = if source == SourceKind::PodIdentity { "/v1/credentials" } else { other };
    vec![
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
            passes(InvalidResponse, "answered 204", other),
        ),
        html(200, passes(InvalidResponse, "text/html", other)),
        Row::new(source, "400 that quotes the token", [Echo(400)], stays(Denied, "I do not like [redacted]", other)),
        Row::new(
            source,
            "500 that quotes the token",
            [Echo(500)],
            passes(Unavailable, "I do not like [redacted]", busy),
        ),
        Row::new(source, "200 that quotes the token", [Echo(200)], passes(InvalidResponse, "not its", other)),
        html(400, stays(Denied, "a proxy says 400", other)),
        html(403, stays(Denied, "a proxy says 403", other)),
        html(404, stays(not_found, "a proxy says 404", path)),
        html(407, stays(Denied, "a proxy says 407", other)),
        html(408, passes(Unavailable, "a proxy says 408", busy)),
        html(418, stays(Denied, "a proxy says 418", other)),
        html(429, passes(Throttled, "a proxy says 429", slower)),
        html(500, passes(Unavailable, "a proxy says 500", busy)),
        html(502, passes(Unavailable, "a proxy says 502", busy)),
        html(503, passes(Unavailable, "a proxy says 503", busy)),
        html(504, passes(Unavailable, "a proxy says 504", busy)),
        Row::new(
            source,
            "200 and bytes that are no text",
            [whole_bytes(b"\xff\xfe\x00\x01")],
            passes(InvalidResponse, "not ", other),
        ),
    ]
}

/// An answer that lacks each field in turn, or has it empty.
fn fields(source: SourceKind) -> Vec<Row> {
    const OTHER: &str = "check what answers at that address";
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
    // A generic container server may hand out credentials that never expire; STS never does.
    let everlasting = if source == SourceKind::PodIdentity {
        Expect::Everlasting
    } else {
        passes(InvalidResponse, "Expiration", OTHER)
    };
    rows.push(row("without", "Expiration", None, everlasting));
    rows
}

/// The same second in every form of RFC 3339, others that are none, and one that has passed.
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
    let legal = [
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
    let none = [
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
    let illegal = || passes(InvalidResponse, "which is no RFC 3339 date", "check what answers at that address");
    let past = || passes(ExpiredCredentials, "had expired at", "check the node's clock");
    legal
        .map(|date| row(date, Expect::Fresh))
        .into_iter()
        .chain(none.map(|date| row(date, illegal())))
        .chain(["2029-12-31T23:59:59Z", "1970-01-01T00:00:00Z"].map(|date| row(date, past())))
        .collect()
}

/// A whole answer with credentials that expire at [`FRESH_EXPIRY`].
pub(crate) fn good(source: SourceKind) -> Step {
    whole(200, content_type(source), &document(source, &[]))
}

/// The answer that a cell begins with.
pub(crate) fn first(source: SourceKind) -> Fault {
    let body = document(source, &[("AccessKeyId", Some("ASIALOCALFIRST")), ("Expiration", Some(FIRST_EXPIRY))]);
    Fault::Play(vec![whole(200, content_type(source), &body)])
}

/// The answer's document, in which some fields have other values, or are missing.
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

/// The head and the body of a good answer.
fn halves(source: SourceKind) -> (Vec<u8>, Vec<u8>) {
    let Send(whole) = good(source) else { unreachable!("an answer is sent") };
    let body = whole.len() - document(source, &[]).len();
    (whole[..body].to_vec(), whole[body..].to_vec())
}

fn chunked(body: &[u8]) -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", body].concat()
}
