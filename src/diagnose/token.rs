//! Checks of the service account token: whether it can be read, whether kubelet rotates it, and whether it is meant for
//! the credential source.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::claims::{cut, eks_region, service_account};
use super::{Finding, FindingId, Setup, remedies};
use crate::claims::Claims;
use crate::clock;
use crate::env::region;
use crate::source_kind::SourceKind;
use crate::token_file::{Token, TokenSource};

/// kubelet rotates a token at this age, or after 80 % of its lifetime if that is earlier.
const ROTATED_AFTER: Duration = Duration::from_secs(24 * 3600);
/// kubelet checks its volumes every minute or two.
const ROTATION_SLACK: Duration = Duration::from_secs(10 * 60);

const IF_NOT_ROTATED: &str = "mount the projected volume directly: a copy of the file, or a mount with subPath, is \
                              never updated. If the volume is mounted directly, kubelet has stopped rotating the \
                              token: the commands show why. Then create the pod again";

/// Checks the token, and returns it if it can be sent.
pub(super) async fn check(
    setup: &Setup,
    kind: SourceKind,
    tokens: &TokenSource,
    findings: &mut Vec<Finding>,
) -> Option<Token> {
    let token = match tokens.token().await {
        Ok(token) => token,
        Err(error) => {
            findings.push(Finding::of(&error));
            return None;
        }
    };
    let Some(claims) = token.claims() else {
        let observed = format!("{} contains {} characters that are not a JWT", origin(tokens), token.expose().len());
        findings.push(
            Finding::new(FindingId::TokenInvalid, observed).expected("a JWT: three parts separated by dots").remedy(
                "set the variable to the path of the projected token (the webhook does this unless the container sets \
                 the variable)",
            ),
        );
        // It is sent anyway, because the response contains more information.
        return Some(token);
    };
    let before = findings.len();
    findings.extend(times(&origin(tokens), &claims, setup.time_source().now()));
    findings.extend(audience(&claims, kind));
    findings.extend(issuer(&claims, kind));
    findings.extend(issuer_region(&claims, setup));
    findings.extend(subject_form(&claims));
    let has_problem = findings.iter().skip(before).any(|finding| finding.severity > super::Severity::Info);
    if !has_problem {
        findings.push(Finding::new(FindingId::TokenOk, describe(tokens, &token, &claims, setup.time_source().now())));
    }
    Some(token)
}

fn origin(tokens: &TokenSource) -> String {
    match tokens {
        TokenSource::File(path) => path.display().to_string(),
        TokenSource::Fixed(_) => crate::env::CONTAINER_TOKEN.to_owned(),
    }
}

fn describe(tokens: &TokenSource, token: &Token, claims: &Claims, now: SystemTime) -> String {
    let left = at(claims.exp).and_then(|exp| exp.duration_since(now).ok());
    format!(
        "{}: {} bytes, {} old, {}, sub={} aud={}",
        origin(tokens),
        token.expose().len(),
        at(claims.iat).and_then(|iat| now.duration_since(iat).ok()).map_or("unknown".to_owned(), roughly),
        left.map_or("without an expiry".to_owned(), |left| format!("valid for {}", roughly(left))),
        claims.sub.as_deref().map_or("none".to_owned(), cut),
        cut(&claims.aud.join(","))
    )
}

fn at(seconds: Option<u64>) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds?))
}

/// Rounded down to one unit, such as `23 h`, `5 min` or `12 s`.
pub(super) fn roughly(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds.checked_div(60).unwrap_or_default()),
        seconds => format!("{} h", seconds.checked_div(3600).unwrap_or_default()),
    }
}

fn times(origin: &str, claims: &Claims, now: SystemTime) -> Option<Finding> {
    let (iat, exp, nbf) = (at(claims.iat), at(claims.exp), at(claims.nbf));
    let shown = |time: Option<SystemTime>| time.map_or("unknown".to_owned(), clock::rfc3339);
    let since = |then: SystemTime| now.duration_since(then).ok();
    if let Some(ago) = exp.and_then(since) {
        let observed = format!(
            "the token in {origin} expired {} ago, at {}; it was issued at {}",
            roughly(ago),
            shown(exp),
            shown(iat)
        );
        let finding = Finding::new(FindingId::TokenExpired, observed).expected("a token that kubelet rotates in time");
        return Some(finding.remedy(IF_NOT_ROTATED).commands(remedies::kubelet()));
    }
    if let Some(ahead) = nbf.and_then(|nbf| nbf.duration_since(now).ok()).filter(|ahead| !ahead.is_zero()) {
        let observed = format!("the token in {origin} becomes valid in {}, at {}", roughly(ahead), shown(nbf));
        let finding = Finding::new(FindingId::TokenNotYet, observed);
        return Some(
            finding
                .expected(format!("a token that is valid now, at {} by the node's clock", clock::rfc3339(now)))
                .remedy(remedies::SET_THE_CLOCK)
                .commands(remedies::set_the_clock()),
        );
    }
    let (age, life) = (since(iat?)?, exp?.duration_since(iat?).ok()?);
    let due = life.mul_f32(0.8).min(ROTATED_AFTER);
    let observed = format!(
        "the token in {origin} is {} old; its total validity is {}, until {}",
        roughly(age),
        roughly(life),
        shown(exp)
    );
    let expected = format!("a new token after {}", roughly(due));
    (age > due.saturating_add(ROTATION_SLACK)).then(|| {
        Finding::new(FindingId::TokenRotation, observed)
            .expected(expected)
            .remedy(IF_NOT_ROTATED)
            .commands(remedies::kubelet())
    })
}

/// The audience of the tokens of a source.
pub(super) fn audience_of(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::WebIdentity => "sts.amazonaws.com",
        SourceKind::PodIdentity => "pods.eks.amazonaws.com",
    }
}

fn audience(claims: &Claims, kind: SourceKind) -> Option<Finding> {
    let expected = audience_of(kind);
    let audiences = || claims.aud.iter().map(String::as_str);
    if audiences().any(|audience| audience == expected) {
        return None;
    }
    // An annotation may set another audience for tokens that are sent to STS, but not the audience of the other source
    // or of
    // the API server.
    let foreign =
        audiences().any(|aud| aud.is_empty() || aud == "pods.eks.amazonaws.com" || aud.contains("kubernetes"));
    let id = match kind {
        SourceKind::WebIdentity if !foreign => FindingId::TokenAudienceOwn,
        _ => FindingId::TokenAudience,
    };
    let finding = Finding::new(id, format!("aud={}", cut(&claims.aud.join(",")))).expected(format!("aud={expected}"));
    let remedy = "let the EKS webhook set the variable, or set serviceAccountToken.audience of the projected volume to \
                  the expected audience";
    Some(match id {
        FindingId::TokenAudienceOwn => finding.remedy(format!("if this is not intended, {remedy}")),
        _ => finding.remedy(remedy),
    })
}

fn issuer(claims: &Claims, kind: SourceKind) -> Option<Finding> {
    let issuer = claims.iss.as_deref().unwrap_or_default();
    if kind == SourceKind::WebIdentity && !issuer.starts_with("https://") {
        let expected = "https://oidc.eks.<region>.amazonaws.com/id/<ID>, or another https URL";
        let finding = Finding::new(FindingId::TokenIssuer, format!("iss={}", cut(issuer))).expected(expected);
        return Some(finding.remedy(
            "mount a projected service account token: a token from a Secret has the issuer kubernetes/serviceaccount. \
             If the projected token also has this issuer, change the API server's --service-account-issuer, or use EKS \
             Pod Identity",
        ));
    }
    let own = || Finding::new(FindingId::TokenIssuerOwn, format!("iss={}", cut(issuer)));
    eks_region(issuer).is_none().then(own)
}

fn issuer_region(claims: &Claims, setup: &Setup) -> Option<Finding> {
    let theirs = eks_region(claims.iss.as_deref()?)?;
    let ours = region::region(&setup.env, setup.settings.region.as_deref()).ok()??;
    let observed = || {
        format!(
            "the cluster is in {}, but the configured region is {ours}: requests to STS and, by default, to all \
             services go to {ours}",
            cut(theirs)
        )
    };
    (theirs != ours.as_str()).then(|| {
        Finding::new(FindingId::TokenRegion, observed())
            .remedy(format!("if this is not intended, set {} to the cluster's region", crate::env::REGION))
    })
}

fn subject_form(claims: &Claims) -> Option<Finding> {
    let observed = || format!("sub={}", claims.sub.as_deref().map_or("none".to_owned(), cut));
    let expected = "sub=system:serviceaccount:<namespace>:<service account>";
    let remedy = "check that the path in the variable is that of the projected service account token";
    let finding = || Finding::new(FindingId::TokenSubject, observed()).expected(expected).remedy(remedy);
    service_account(claims).is_none().then(finding)
}
