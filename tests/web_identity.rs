//! IRSA over real sockets: the request, the accepted responses, and the handling of each error.
#![cfg(feature = "irsa")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::time::{Duration, SystemTime};

use eks_credentials::testing::{Answer, LocalPod, Signing};
use eks_credentials::{ErrorKind, SourceKind};
use support::{Recorder, builder, http, provider, whole, with, without};

fn success(fields: &str) -> String {
    format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>{fields}\
         </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    )
}

const KEYS: &str = "<AccessKeyId>ASIALOCALA</AccessKeyId><SecretAccessKey>local-secret-a</SecretAccessKey>\
                    <SessionToken>local-session-a</SessionToken>";

#[tokio::test]
async fn web_identity_sends_every_parameter_in_an_unsigned_form() {
    support::trace();
    let pod = LocalPod::builder().pod("api-7d9f8b6c5-x2x1z").service_account("shop", "api").start().await.unwrap();
    let answer = success(&format!("<Credentials>{KEYS}<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"));
    let sts = Recorder::start(http(200, "text/xml", &answer)).await;
    let env = with(pod.irsa_env(), "AWS_ENDPOINT_URL_STS", &format!("http://{}", sts.address));
    builder(env.clone())
        .session_length(Duration::from_secs(1800))
        .policy(r#"{"Version":"2012-10-17"}"#)
        .policy_arns(["arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::aws:policy/SecurityAudit"])
        .provider_id("www.example.com")
        .build()
        .unwrap()
        .warm_up()
        .await
        .unwrap();
    let request = sts.requests().pop().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with("post / http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/x-www-form-urlencoded"), "{head}");
    assert!(head.contains(&format!("\r\nuser-agent: eks-credentials/{}\r\n", env!("CARGO_PKG_VERSION"))), "{head}");
    assert!(!head.contains("authorization"), "{head}");
    let mut form: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let token = std::fs::read_to_string(pod.irsa_token().path()).unwrap();
    assert!(form.iter().any(|(name, value)| name == "WebIdentityToken" && *value == token));
    form.retain(|(name, _)| name != "WebIdentityToken");
    let expected = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", "arn:aws:iam::111122223333:role/local-pod"),
        ("RoleSessionName", "shop-api-7d9f8b6c5-x2x1z"),
        ("DurationSeconds", "1800"),
        ("Policy", r#"{"Version":"2012-10-17"}"#),
        ("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/ReadOnlyAccess"),
        ("PolicyArns.member.2.arn", "arn:aws:iam::aws:policy/SecurityAudit"),
        ("ProviderId", "www.example.com"),
    ];
    assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

/// The session name comes from the builder, the variable, the pod's name in the token, or `HOSTNAME`, in this order. A derived name
/// is changed to fit the limits of STS.
#[tokio::test]
async fn web_identity_session_name_is_configured_or_derived() {
    support::trace();
    let long = "a-very-long-deployment-name-that-goes-on-and-on-7d9f8b6c5-x2x1z";
    let pod = LocalPod::builder().service_account("a-namespace-with-a-name", "api").pod(long).start().await.unwrap();
    let answer = success(&format!("<Credentials>{KEYS}<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"));
    let sts = Recorder::start(http(200, "text/xml", &answer)).await;
    let env = with(pod.irsa_env(), "AWS_ENDPOINT_URL_STS", &format!("http://{}", sts.address));
    let not_a_jwt = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(not_a_jwt.path(), "opaque-token").unwrap();
    let opaque = with(env.clone(), "AWS_WEB_IDENTITY_TOKEN_FILE", not_a_jwt.path().to_str().unwrap());

    let from_variable = with(env.clone(), "AWS_ROLE_SESSION_NAME", "by-variable");
    let cases = [
        (builder(from_variable.clone()).session_name("by-builder"), "by-builder"),
        (builder(from_variable), "by-variable"),
        // The last 64 characters, with the unique end of the pod's name.
        (builder(env), "a-very-long-deployment-name-that-goes-on-and-on-7d9f8b6c5-x2x1z"),
        (builder(with(opaque.clone(), "HOSTNAME", "node 7/β")), "node-7--"),
        (builder(without(opaque, "HOSTNAME")), "eks-credentials"),
    ];
    for (builder, expected) in cases {
        builder.build().unwrap().warm_up().await.unwrap();
        let request = sts.requests().pop().unwrap();
        let form: Vec<_> = form_urlencoded::parse(request.split_once("\r\n\r\n").unwrap().1.as_bytes())
            .filter(|(name, _)| name == "RoleSessionName")
            .collect();
        assert_eq!(form[0].1, expected);
    }
}

#[tokio::test]
async fn web_identity_accepts_any_equivalent_xml() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let user = "<AssumedRoleUser><AssumedRoleId>x</AssumedRoleId>\
                <Arn>arn:aws:sts::999988887777:assumed-role/r/s</Arn></AssumedRoleUser>";
    let credentials = |date: &str| format!("<Credentials><Expiration>{date}</Expiration>{KEYS}</Credentials>");
    let (date, expected) = ("2099-01-01T00:00:00Z", SystemTime::UNIX_EPOCH + Duration::from_secs(4_070_908_800));
    let namespaced = success(&format!("{user}{}", credentials(date))).replacen(
        "<AssumeRoleWithWebIdentityResponse>",
        "<?xml version=\"1.0\"?>\n<AssumeRoleWithWebIdentityResponse \
         xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">",
        1,
    );
    for (body, account) in [
        (success(&format!("{}{user}", credentials(date))), "999988887777"),
        (success(&format!("{user}{}<Unknown>x</Unknown>", credentials("2099-01-01T00:00:00.000Z"))), "999988887777"),
        (success(&credentials("2099-01-01T00:00:00.000000000Z")), "111122223333"),
        (success(&credentials("2099-01-01T00:00:00.000000Z")), "111122223333"),
        (namespaced, "999988887777"),
    ] {
        pod.sts().then(Answer::http_as(200, "text/xml", &body));
        let got = provider(pod.irsa_env()).credentials().await.unwrap_or_else(|e| panic!("{body}: {}", whole(&e)));
        assert_eq!(got.account_id().unwrap().as_str(), account);
        assert_eq!((got.expiry(), got.session_token()), (Some(expected), Some("local-session-a")));
    }
}

/// The provider returns exactly the credentials that STS issued.
#[tokio::test]
async fn web_identity_accepts_tokens_of_both_algorithms() {
    support::trace();
    for signing in [Signing::Rs256, Signing::Es256] {
        let pod = LocalPod::builder().signing(signing).start().await.unwrap();
        let provider = provider(pod.irsa_env());
        let got = provider.credentials().await.unwrap();
        let issued = pod.ledger().get(got.access_key_id()).unwrap();
        assert_eq!(got.secret_access_key(), issued.secret_access_key);
        assert_eq!(got.session_token(), Some(issued.session_token.as_str()));
        assert_eq!(provider.status().source, Some(SourceKind::WebIdentity));
        // The SDK logs the credentials in this format.
        assert!(format!("{got:?}").contains("EksWebIdentity"), "{got:?}");
    }
}

/// Checks each error code. A transient error is retried during the startup timeout, so the second request succeeds.
#[tokio::test]
async fn web_identity_error_is_permanent_or_transient_by_code() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let permanent = [
        "AccessDenied",
        "InvalidIdentityToken",
        "IDPRejectedClaim",
        "MalformedPolicyDocument",
        "PackedPolicyTooLarge",
        "RegionDisabledException",
    ];
    for code in permanent {
        pod.sts().then(Answer::refuse_with(code, "because"));
        let error = provider(pod.irsa_env()).credentials().await.expect_err(code);
        assert_eq!(error.kind(), ErrorKind::Denied, "{code}");
        let message = error.to_string();
        for part in [
            code,
            "because",
            "arn:aws:iam::111122223333:role/local-pod",
            "iss=https://oidc.eks.eu-central-1.amazonaws.com/id/LOCAL",
            "sub=system:serviceaccount:default:local",
            "aud=sts.amazonaws.com",
            "exp=20",
        ] {
            assert!(message.contains(part), "{message}\nlacks {part}");
        }
    }
    let before = pod.sts().requests();
    let transient = [
        Answer::refuse("IDPCommunicationError"),
        Answer::refuse("Throttling"),
        Answer::refuse("ThrottlingException"),
        Answer::refuse("RequestLimitExceeded"),
        Answer::refuse("ExpiredTokenException"),
        Answer::refuse_with("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider"),
        Answer::refuse("InternalFailure"),
        Answer::http(429, "slow down"),
        Answer::http(502, "<html>bad gateway</html>"),
        Answer::http_as(200, "text/html", "<html>a captive portal</html>"),
        Answer::http(200, ""),
        Answer::http(302, ""),
        Answer::http_as(200, "text/xml", success(&format!("<Credentials>{KEYS}</Credentials>"))),
        Answer::http_as(
            200,
            "text/xml",
            success(&format!("<Credentials>{KEYS}<Expiration>soon</Expiration></Credentials>")),
        ),
        Answer::expired(),
        Answer::truncated(),
        Answer::reset(),
        Answer::close(),
    ];
    let n = u64::try_from(transient.len()).unwrap();
    for answer in transient {
        pod.sts().then(answer.clone());
        let got = provider(pod.irsa_env()).credentials().await;
        assert!(got.is_ok(), "{answer:?}: {}", whole(&got.unwrap_err()));
    }
    assert_eq!(pod.sts().requests() - before, 2 * n, "two requests for each response");
}

#[tokio::test]
async fn web_identity_error_names_the_missing_field() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let date = "<Expiration>2099-01-01T00:00:00Z</Expiration>";
    for field in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"] {
        let whole_answer = success(&format!("<Credentials>{KEYS}{date}</Credentials>"));
        let lacking =
            whole_answer.replace(&format!("<{field}>"), "<Other>").replace(&format!("</{field}>"), "</Other>");
        pod.sts().always(Answer::http_as(200, "text/xml", lacking));
        let short = builder(pod.irsa_env()).startup_timeout(support::millis(300)).build().unwrap();
        let error = short.credentials().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse);
        assert!(error.to_string().contains(field), "{error}");
        let empty = whole_answer.replace(&format!("<{field}>"), &format!("<{field}></{field}><Other>"));
        let empty =
            empty.replacen(&format!("</{field}><Other>"), "@", 1).replacen(&format!("</{field}>"), "</Other>", 1);
        pod.sts().always(Answer::http_as(200, "text/xml", empty.replacen('@', &format!("</{field}><Other>"), 1)));
        let short = builder(pod.irsa_env()).startup_timeout(support::millis(300)).build().unwrap();
        assert_eq!(short.credentials().await.unwrap_err().kind(), ErrorKind::InvalidResponse, "empty {field}");
    }
}

#[tokio::test]
async fn web_identity_sends_an_expired_token_again_only_if_rotated() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let provider = provider(pod.irsa_env());
    let first = provider.credentials().await.unwrap();
    pod.irsa_token().expire(Duration::from_secs(60)).unwrap();
    provider.invalidate(&first);
    // Invalidated credentials are not served again.
    let error = provider.credentials().await.unwrap_err();
    assert_eq!((error.kind(), pod.sts().requests()), (ErrorKind::TokenRejected, 2));
    assert!(error.to_string().contains("kubelet still rotates"), "{error}");
    drop(provider);

    // kubelet rotates the token while STS processes the request.
    pod.sts().then(Answer::proper().after(support::millis(300)));
    let cold = support::provider(pod.irsa_env());
    let mut call = tokio_test::task::spawn(cold.credentials());
    while pod.sts().requests() < 3 {
        tokio_test::assert_pending!(call.poll());
        tokio::task::yield_now().await;
    }
    pod.irsa_token().rotate().unwrap();
    assert_ne!(call.await.unwrap(), first);
    assert_eq!(pod.sts().requests(), 4);
}

#[tokio::test]
async fn web_identity_error_has_a_remedy_if_sts_is_unreachable() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let env = with(pod.irsa_env(), "AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9");
    let short = builder(env).startup_timeout(support::millis(50)).build().unwrap();
    let error = short.credentials().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error
            .to_string()
            .contains("http://127.0.0.1:9 refused the connection; check AWS_ENDPOINT_URL_STS, the pod's egress"),
        "{error}"
    );

    pod.sts().always(Answer::hang());
    let short = builder(pod.irsa_env())
        .attempt_timeout(support::millis(100))
        .startup_timeout(support::millis(100))
        .build()
        .unwrap();
    let error = short.credentials().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("did not respond within"), "{error}");
}

/// Ceph RGW, MinIO and other implementations of STS have ARNs of other formats. They validate the ARN themselves.
#[tokio::test]
async fn web_identity_sends_the_role_arn_of_another_sts_unchanged() {
    support::trace();
    for arn in ["arn:minio:iam:::role/x", "arn:aws:iam:::role/app", "arn:aws:iam::tenant:role/app", "arn:x"] {
        let pod = LocalPod::start().await.unwrap();
        let assumed = "<AssumedRoleUser><Arn>arn:aws:sts::tenant:assumed-role/app/s</Arn></AssumedRoleUser>";
        let keys = format!("<Credentials>{KEYS}<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>");
        let sts = Recorder::start(http(200, "text/xml", &success(&format!("{assumed}{keys}")))).await;
        let env = with(pod.irsa_env(), "AWS_ENDPOINT_URL_STS", &format!("http://{}", sts.address));
        let env = with(without(env, "AWS_DEFAULT_REGION"), "AWS_REGION", "garage");
        let credentials = provider(with(env, "AWS_ROLE_ARN", arn)).credentials().await.unwrap();
        // SDK clients would insert it into host names.
        assert_eq!(credentials.account_id(), None);
        let request = sts.requests().remove(0);
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        let sent = form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "RoleArn");
        assert_eq!(sent.unwrap().1, arn);
    }
}
