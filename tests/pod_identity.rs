//! Pod Identity and container credentials over real sockets: the request, the accepted responses, and the handling of each
//! error.
#![cfg(all(feature = "irsa", feature = "pod-identity"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::time::Duration;

use eks_credentials::testing::{Answer, LocalPod};
use eks_credentials::{ErrorKind, Health, SourceKind};
use support::{Recorder, builder, http, provider, whole, with, without};

const URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const DOCUMENT: &str = r#"{"AccessKeyId":"ASIALOCALA","SecretAccessKey":"local-secret-a","Token":"local-session-a",
                           "AccountId":"999988887777","Expiration":"2099-01-01T00:00:00Z"}"#;

/// The header `Authorization` contains only the token. The request goes to the literal address in the URI.
#[tokio::test]
async fn pod_identity_sends_the_token_without_a_prefix() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let agent = Recorder::start(http(200, "application/json", DOCUMENT)).await;
    let env = with(pod.pod_identity_env(), URI, &format!("http://{}/v1/credentials", agent.address));
    let got = provider(env.clone()).credentials().await.unwrap();
    assert_eq!(got.account_id().unwrap().as_str(), "999988887777");
    let request = agent.requests().pop().unwrap().to_lowercase();
    let token = std::fs::read_to_string(pod.agent_token().path()).unwrap().to_lowercase();
    assert!(request.starts_with("get /v1/credentials http/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("\r\nauthorization: {token}\r\n")), "{request}");
    assert!(request.contains(&format!("\r\nhost: {}\r\n", agent.address)), "{request}");
    assert!(request.contains("\r\nuser-agent: eks-credentials/"), "{request}");

    // The token file has precedence over the token variable. Servers other than the EKS agent need no token.
    let both = with(env.clone(), TOKEN, "from-the-variable");
    provider(both.clone()).warm_up().await.unwrap();
    assert!(agent.requests().pop().unwrap().to_lowercase().contains(&token));
    provider(without(both, TOKEN_FILE)).warm_up().await.unwrap();
    assert!(agent.requests().pop().unwrap().contains("\r\nauthorization: from-the-variable\r\n"));
    provider(without(env, TOKEN_FILE)).warm_up().await.unwrap();
    assert!(!agent.requests().pop().unwrap().contains("authorization"));
}

#[tokio::test]
async fn pod_identity_accepts_field_names_in_any_case() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    for document in [
        r#"{"accesskeyid":"A","secretaccesskey":"S","sessiontoken":"T","expiresat":"2099-01-01T00:00:00.123Z"}"#,
        r#"{"ACCESSKEYID":"A","SecretAccessKey":"S","token":"T","Expiration":"2099-01-01T00:00:00+0000"}"#,
        r#"{"RoleArn":"r","Extra":{"a":[1,null]},"AccessKeyId":"A","SecretAccessKey":"S","Token":"T","AccountId":null,
            "Expiration":"2099-01-01T02:00:00+02:00"}"#,
        r#"{"AccessKeyId":"A","SecretAccessKey":"S","Token":"T"}"#,
    ] {
        // The content type is not checked.
        pod.agent().then(Answer::http(200, document));
        let got = provider(pod.pod_identity_env()).credentials().await.unwrap_or_else(|e| panic!("{}", whole(&e)));
        assert_eq!((got.access_key_id(), got.session_token()), ("A", Some("T")));
        assert!(format!("{got:?}").contains("EksPodIdentity"), "{got:?}");
        assert_eq!(got.expiry().is_some(), document.to_lowercase().contains("2099"));
    }
}

/// The agent's errors: only the exception's name distinguishes permanent from transient ones. See "1.3 Agent: errors" in
/// `docs::protocols`.
#[tokio::test]
async fn pod_identity_error_is_permanent_or_transient_by_code() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let malformed =
        "Service account token cannot be parsed: token is malformed: token contains an invalid number of segments";
    for (answer, kind, named) in [
        (Answer::refuse("AccessDeniedException"), ErrorKind::Denied, "sts:TagSession"),
        (Answer::refuse("InvalidParameterException"), ErrorKind::Refused, "InvalidParameterException"),
        (Answer::refuse("InvalidRequestException"), ErrorKind::Refused, "InvalidRequestException"),
        (Answer::http(400, malformed), ErrorKind::Denied, "malformed"),
        (Answer::http(400, "Service account token cannot be empty"), ErrorKind::Denied, "cannot be empty"),
        (
            Answer::http(403, "Access Denied. Called agent through invalid address"),
            ErrorKind::InvalidConfiguration,
            "169.254.170.23",
        ),
        (Answer::refuse("InvalidTokenException"), ErrorKind::TokenRejected, "the token that this cluster projects"),
        (
            Answer::http_as(400, "application/json", r#"{"code":"AccessDeniedException","message":"no"}"#),
            ErrorKind::Denied,
            "no",
        ),
    ] {
        pod.agent().then(answer.clone());
        let error = provider(pod.pod_identity_env()).credentials().await.expect_err(&format!("{answer:?}"));
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(named), "{error}\nlacks {named}");
        let claims = error.to_string().contains("sub=system:serviceaccount:default:local aud=pods.eks.amazonaws.com");
        assert_eq!(claims, kind != ErrorKind::InvalidConfiguration, "{error}");
    }
    let before = pod.agent().requests();
    let transient = [
        Answer::refuse("ExpiredTokenException"),
        // The association was created a moment ago.
        Answer::refuse("ResourceNotFoundException"),
        Answer::refuse("SomethingNewException"),
        Answer::http_as(403, "application/json", r#"{"Code":"Nope","Message":"no"}"#),
        Answer::http_as(403, "text/html", "<html>Forbidden</html>"),
        Answer::http(404, "404 page not found\n"),
        Answer::http(404, ""),
        Answer::refuse("ThrottlingException"),
        Answer::refuse("InternalServerException"),
        Answer::refuse("ServiceUnavailableException"),
        Answer::http(429, "Too Many Requests\n"),
        Answer::http(500, "[]\n"),
        Answer::http(400, "Service account token failed basic claim validations: token is expired"),
        Answer::http(400, "Service account token failed basic claim validations: token is not valid yet"),
        // A bug of the agent: EKS Auth's response to it was not JSON.
        Answer::http(200, "[00000000-0000-4000-8000-0000000000ff]"),
        Answer::http_as(200, "text/html", "<html>a captive portal</html>"),
        Answer::http_as(200, "application/json", ""),
        Answer::http_as(200, "application/json", "[]"),
        Answer::http_as(200, "application/json", r#"{"AccessKeyId":"A","SecretAccessKey":"S"}"#),
        Answer::http_as(200, "application/json", r#"{"AccessKeyId":"","SecretAccessKey":"S","Token":"T"}"#),
        Answer::http_as(200, "application/json", DOCUMENT.replace("2099-01-01", "soon")),
        // Valid, but too large.
        Answer::http_as(200, "application/json", format!("{DOCUMENT}{}", " ".repeat(70_000))),
        Answer::http(302, ""),
        Answer::expired(),
        Answer::truncated(),
        Answer::reset(),
        Answer::close(),
    ];
    let n = u64::try_from(transient.len()).unwrap();
    for answer in transient {
        pod.agent().then(answer.clone());
        let got = provider(pod.pod_identity_env()).credentials().await;
        assert!(got.is_ok(), "{answer:?}: {}", whole(&got.unwrap_err()));
    }
    assert_eq!(pod.agent().requests() - before, 2 * n, "two requests for each response");
}

/// A refusal in the agent's format is quoted up to a maximum length, unless it repeats the token. Other responses are not
/// quoted.
#[tokio::test]
async fn pod_identity_error_quotes_refusals_without_the_token() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let token = std::fs::read_to_string(pod.agent_token().path()).unwrap();
    let refused = async |answer| {
        pod.agent().always(answer);
        let short = builder(pod.pod_identity_env()).startup_timeout(support::millis(300)).build().unwrap();
        let error = short.credentials().await.unwrap_err();
        assert_ne!(error.kind(), ErrorKind::Timeout, "the response was read");
        error
    };
    for said in [
        format!("I do not like {token}"),
        format!("Bearer {}", token.split('.').nth(1).unwrap()),
        format!("signature {}", token.split('.').nth(2).unwrap()),
    ] {
        for answer in [Answer::refuse_with("AccessDeniedException", &said), Answer::http(418, &said)] {
            let error = refused(answer).await;
            assert!(!error.to_string().contains("do not like"), "{error}");
            assert!(token.split('.').all(|part| !format!("{error:?}").contains(part)), "{error:?}");
        }
    }
    let long = "é".repeat(10_000);
    let error = refused(Answer::refuse_with("AccessDeniedException", &long)).await.to_string();
    assert!(error.len() < 2000 && error.contains("é…"), "{error}");
    let error = refused(Answer::http(418, long)).await.to_string();
    assert!(!error.contains('é') && error.contains("returned status 418 with text"), "{error}");
}

/// The token is opaque, and the server repeats it in various encodings.
#[tokio::test]
async fn pod_identity_error_never_shows_an_encoded_token() {
    use base64::Engine as _;
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let opaque = "local-secret-opaque<1>&Token+0123456789/abcdef";
    let html = opaque.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let shorter = &opaque[..opaque.len() - 1];
    let forms = [
        html,
        opaque.to_uppercase(),
        shorter.to_owned(),
        base64::engine::general_purpose::STANDARD.encode(format!("token={opaque}")),
        base64::engine::general_purpose::URL_SAFE.encode(opaque),
    ];
    let env = with(
        without(pod.pod_identity_env(), "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        opaque,
    );
    for form in forms {
        let said = format!("no such token: {form}");
        for answer in [
            Answer::http(403, &said),
            Answer::http_as(403, "text/html", format!("<html>{said}</html>")),
            Answer::http(400, format!("Service account token cannot be parsed: {said}")),
            Answer::refuse_with("AccessDeniedException", &said),
            Answer::refuse(&form),
            Answer::http_as(403, "application/json", format!("{{\"code\":\"Denied\",\"message\":\"{said}\"}}")),
            Answer::http_as(403, &form, "no"),
        ] {
            pod.agent().always(answer.clone());
            let provider = builder(env.clone()).startup_timeout(support::millis(200)).build().unwrap();
            let error = provider.credentials().await.unwrap_err();
            assert_ne!(error.kind(), ErrorKind::Timeout, "the response was read");
            let shown = format!("{error:?} {}", whole(&error));
            // Twelve characters are enough to identify the token.
            assert!(
                !shown.contains(&form[8..20]) && !shown.contains(&form[form.len() - 14..form.len() - 2]),
                "{answer:?}: {shown}"
            );
        }
    }
    pod.agent().take_unexpected();
}

#[tokio::test]
async fn pod_identity_waits_for_an_agent_that_starts_later() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let address = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap()
    };
    let env = with(pod.pod_identity_env(), URI, &format!("http://{address}/v1/credentials"));
    let provider = provider(env);
    let call = provider.credentials();
    let agent = async {
        // The first attempts are refused.
        let mut changes = Box::pin(provider.credentials());
        assert!(tokio::time::timeout(support::millis(400), &mut changes).await.is_err());
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut request = vec![0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(http(200, "application/json", DOCUMENT).as_bytes()).await.unwrap();
    };
    let (got, ()) = tokio::join!(call, agent);
    assert_eq!(got.unwrap().access_key_id(), "ASIALOCALA");
}

#[tokio::test]
async fn pod_identity_does_not_repeat_a_refresh_with_same_result() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let provider = provider(pod.pod_identity_env());
    let first = provider.credentials().await.unwrap();
    provider.invalidate(&first);
    // The agent returns the same credentials from its cache. They are served, but this does not count as a refresh.
    assert_eq!(provider.credentials().await.unwrap(), first);
    let status = provider.status();
    assert_eq!((pod.agent().requests(), status.refreshes, status.health), (2, 1, Health::Degraded));
    assert_eq!(provider.credentials().await.unwrap(), first);
    assert_eq!(pod.agent().requests(), 2);
}

#[tokio::test]
async fn pod_identity_resolves_and_checks_a_host_name() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let agent = Recorder::start(http(200, "application/json", DOCUMENT)).await;
    let at = |host: &str| with(pod.pod_identity_env(), URI, &format!("http://{host}:{}/x", agent.address.port()));
    provider(at("localhost")).warm_up().await.unwrap();
    assert!(agent.requests()[0].to_lowercase().contains(&format!("\r\nhost: localhost:{}\r\n", agent.address.port())));
    let nowhere = builder(at("nowhere.invalid")).startup_timeout(support::millis(200)).build().unwrap();
    let error = nowhere.credentials().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{error:?}");
    // The machine's own name resolves to the address of an interface, if to any. Plain http to such an address is not allowed.
    if let Ok(name) = std::fs::read_to_string("/etc/hostname") {
        let own = builder(at(name.trim())).startup_timeout(support::millis(200)).build().unwrap();
        if let Err(error) = own.credentials().await
            && error.kind() == ErrorKind::InvalidConfiguration
        {
            assert!(error.to_string().contains("plain http is only for loopback"), "{error}");
        }
    }
}

#[tokio::test]
async fn fallback_is_used_after_a_denial_and_not_in_an_outage() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let provider = builder(pod.both_env()).fallback(true).startup_timeout(support::millis(300)).build().unwrap();
    pod.sts().then(Answer::refuse("AccessDenied"));
    let first = provider.credentials().await.unwrap();
    assert_eq!(provider.status().source, Some(SourceKind::PodIdentity));
    // The preferred one works again: the next refresh goes back to it.
    provider.invalidate(&first);
    let second = provider.credentials().await.unwrap();
    assert_eq!(provider.status().source, Some(SourceKind::WebIdentity));
    assert_ne!(first, second);

    pod.sts().always(Answer::http(503, "busy"));
    let agent = pod.agent().requests();
    let outage = builder(pod.both_env()).fallback(true).startup_timeout(support::millis(300)).build().unwrap();
    assert_eq!(outage.credentials().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(pod.agent().requests(), agent);

    pod.sts().always(Answer::refuse("AccessDenied"));
    pod.agent().always(Answer::refuse("ResourceNotFoundException"));
    let both = builder(pod.both_env()).fallback(true).build().unwrap();
    let error = both.credentials().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("AccessDenied") && error.to_string().contains("the fallback also failed"));
    let without = builder(pod.both_env()).build().unwrap();
    assert_eq!(without.credentials().await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(pod.agent().requests(), agent + 1);
}

#[tokio::test]
async fn pod_identity_waits_eleven_seconds_for_the_agent() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    pod.agent().set_latency(Duration::from_secs(11));
    provider(pod.pod_identity_env()).credentials().await.unwrap();
    assert_eq!(pod.agent().requests(), 1);
}
