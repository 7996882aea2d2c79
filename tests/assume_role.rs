//! Role chaining: providers for other roles, whose requests the credentials of the pod sign.
#![cfg(all(feature = "irsa", feature = "pod-identity", feature = "sdk-config"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::time::Duration;

use eks_credentials::testing::{Answer, AssumableRole, LocalPod};
use eks_credentials::{
    AssumeRole, BehaviorVersion, EksCredentialsProvider, Error, ErrorKind, FindingId, Health, SourceKind,
};
use support::{Recorder, builder, leaked, millis, provider, with};
use tokio::time::timeout;
use url::form_urlencoded;

const REPORTS: &str = "arn:aws:iam::444455556666:role/reports";
const ARCHIVE: &str = "arn:aws:iam::777788889999:role/archive";

async fn pod() -> LocalPod {
    support::trace();
    let reports = AssumableRole::new(REPORTS).external_id("example");
    let archive = AssumableRole::new(ARCHIVE).trusts(REPORTS).allow_tags(false);
    LocalPod::builder().assumable_role(reports).assumable_role(archive).start().await.unwrap()
}

fn reports() -> AssumeRole {
    AssumeRole::new(REPORTS).external_id("example")
}

fn account(credentials: &eks_credentials::Credentials) -> &str {
    credentials.account_id().map_or("", |account| account.as_str())
}

#[tokio::test]
async fn assume_role_returns_credentials_of_another_account() {
    let pod = pod().await;
    for (env, source) in [(pod.irsa_env(), SourceKind::WebIdentity), (pod.pod_identity_env(), SourceKind::PodIdentity)]
    {
        let parent = provider(env);
        let provider = parent.assume_role(reports().tag("team", "billing").session_name("billing")).unwrap();
        let status = provider.status();
        assert_eq!(
            (status.health, status.source, status.assumed_role.as_deref()),
            (Health::Starting, Some(source), Some(REPORTS))
        );
        let credentials = provider.credentials().await.unwrap();
        assert_eq!(account(&credentials), "444455556666");
        assert_eq!(account(&parent.credentials().await.unwrap()), "111122223333");
        assert_eq!((provider.status().health, provider.status().source), (Health::Ready, Some(source)));
        assert_eq!(parent.status().assumed_role, None);
        assert_eq!(provider.detection().unwrap().source(), source);
        assert_eq!(provider.cached(), Some(credentials));
    }
    assert_eq!(pod.sts().take_unexpected(), [""; 0]);
}

#[tokio::test]
async fn assume_role_signs_requests_of_sdk_clients_as_the_role() {
    let pod = pod().await;
    let provider = provider(pod.irsa_env()).assume_role(reports().session_name("billing")).unwrap();
    let sts = aws_sdk_sts::Client::new(&provider.sdk_config(BehaviorVersion::latest()).build());
    let caller = sts.get_caller_identity().send().await.unwrap();
    assert_eq!(caller.arn(), Some("arn:aws:sts::444455556666:assumed-role/reports/billing"));
    // The token exchange, AssumeRole and the call itself.
    assert_eq!(pod.sts().requests(), 3);
}

#[tokio::test]
async fn assume_role_follows_a_chain_of_two_roles() {
    let pod = pod().await;
    let parent = provider(pod.pod_identity_env());
    let archive = parent.assume_role(reports()).unwrap().assume_role(AssumeRole::new(ARCHIVE)).unwrap();
    // The provider in between is kept by the last one.
    assert_eq!(account(&archive.credentials().await.unwrap()), "777788889999");
    assert_eq!(archive.status().assumed_role.as_deref(), Some(ARCHIVE));
    assert_eq!((pod.agent().requests(), pod.sts().requests()), (1, 2));
    // The last role does not trust the pod's own role.
    let error = parent.assume_role(AssumeRole::new(ARCHIVE)).unwrap().credentials().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}

/// The error of a provider for `role`, after STS has answered the token exchange and then with `answer`.
async fn refused(pod: &LocalPod, role: AssumeRole, answer: Option<Answer>) -> Error {
    if let Some(answer) = answer {
        pod.sts().then(Answer::proper()).then(answer);
    }
    let error = provider(pod.irsa_env()).assume_role(role).unwrap().credentials().await.unwrap_err();
    assert_eq!(leaked(&format!("{error:?} {error}")), None);
    error
}

#[tokio::test]
async fn assume_role_errors_name_role_caller_and_remedy() {
    let pod = pod().await;
    let denied = |message: &str| Some(Answer::refuse_with("AccessDenied", message));
    let refuse = |code: &str| Some(Answer::refuse(code));
    for (role, answer, kind, parts) in [
        // As the stand-in refuses them.
        (AssumeRole::new(REPORTS), None, ErrorKind::Denied, ["AccessDenied", "external ID"]),
        (AssumeRole::new("arn:aws:iam::444455556666:role/none"), None, ErrorKind::Denied, ["role/none", "exists"]),
        (
            reports(),
            denied("User: x is not authorized to perform: sts:TagSession on resource: y"),
            ErrorKind::Denied,
            ["sts:TagSession", "transitive tags"],
        ),
        (
            reports(),
            denied("User: x is not authorized to perform: sts:SetSourceIdentity on resource: y"),
            ErrorKind::Denied,
            ["sts:SetSourceIdentity", "trust policy"],
        ),
        (reports(), refuse("PackedPolicyTooLarge"), ErrorKind::Denied, ["PackedPolicyTooLarge", "six transitive tags"]),
        (
            reports(),
            refuse("MalformedPolicyDocument"),
            ErrorKind::Denied,
            ["MalformedPolicyDocument", "session policy"],
        ),
        (
            reports(),
            Some(Answer::refuse_with(
                "ValidationError",
                "The requested DurationSeconds exceeds the 1 hour session limit",
            )),
            ErrorKind::Refused,
            ["DurationSeconds", "at most one hour"],
        ),
    ] {
        let error = refused(&pod, role, answer).await;
        let message = error.to_string();
        assert_eq!(error.kind(), kind, "{message}");
        assert!(!error.is_transient() || kind == ErrorKind::Refused, "{message}");
        assert!(parts.iter().all(|part| message.contains(part)), "{parts:?} are not in: {message}");
        assert!(message.contains("AssumeRole for role arn:aws:iam::444455556666:role/"), "{message}");
        assert!(message.contains("signed with the credentials of IRSA"), "{message}");
    }
    assert_eq!(pod.sts().take_unexpected(), [""; 0]);
}

#[tokio::test]
async fn assume_role_refuses_tags_that_the_trust_policy_does_not_allow() {
    let pod = pod().await;
    let reports = provider(pod.irsa_env()).assume_role(reports()).unwrap();
    let archive = reports.assume_role(AssumeRole::new(ARCHIVE).transitive_tag("team", "billing")).unwrap();
    let error = archive.credentials().await.unwrap_err().to_string();
    assert!(
        error.contains("sts:TagSession") && error.contains(&format!("the credentials of role {REPORTS}")),
        "{error}"
    );
}

/// The parent's credentials are refreshed first if STS says that they have expired, and the request is repeated at once.
#[tokio::test]
async fn assume_role_renews_its_parent_if_sts_refuses_it() {
    let pod = pod().await;
    let parent = provider(pod.irsa_env());
    let provider = parent.assume_role(reports()).unwrap();
    let first = parent.credentials().await.unwrap();
    pod.sts().then(Answer::refuse("ExpiredToken"));
    assert_eq!(account(&provider.credentials().await.unwrap()), "444455556666");
    assert_ne!(parent.cached().unwrap().access_key_id(), first.access_key_id());
    // Two token exchanges, and AssumeRole twice.
    assert_eq!((pod.sts().requests(), parent.status().refreshes, provider.status().consecutive_failures), (4, 2, 0));
}

/// STS does not know a key that is a few seconds old: that is the wrong STS, and other keys would not help.
#[tokio::test]
async fn assume_role_keeps_a_young_parent_that_sts_does_not_know() {
    let pod = pod().await;
    let parent = builder(pod.irsa_env()).startup_timeout(millis(300)).build().unwrap();
    let provider = parent.assume_role(reports()).unwrap();
    parent.warm_up().await.unwrap();
    pod.sts().always(Answer::refuse("InvalidClientTokenId"));
    let error = provider.credentials().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code(), error.is_transient()),
        (ErrorKind::Refused, Some("InvalidClientTokenId"), true)
    );
    assert_eq!(parent.status().refreshes, 1);
    assert!(parent.cached().is_some());
}

/// If the parent fails, kind and code are those of its error. Expired credentials of the role are served exactly if those of the
/// parent would be.
#[tokio::test]
async fn assume_role_has_the_kind_of_the_error_of_its_parent() {
    let pod = pod().await;
    for (answer, kind, code, transient) in [
        (Answer::refuse("AccessDenied"), ErrorKind::Denied, Some("AccessDenied"), false),
        (Answer::refuse("Throttling"), ErrorKind::Throttled, Some("Throttling"), true),
        (Answer::http(503, "down"), ErrorKind::Unavailable, None, true),
    ] {
        pod.sts().always(answer);
        let parent = builder(pod.irsa_env()).startup_timeout(millis(300)).build().unwrap();
        let error = parent.assume_role(reports()).unwrap().credentials().await.unwrap_err();
        assert_eq!((error.kind(), error.code(), error.is_transient()), (kind, code, transient), "{error}");
    }
}

/// The provider recovers a few seconds after its parent, and does not wait for a backoff of its own on top.
#[tokio::test]
async fn assume_role_recovers_soon_after_its_parent() {
    let pod = pod().await;
    pod.agent().always(Answer::http(503, "down"));
    let parent = builder(pod.pod_identity_env()).startup_timeout(millis(300)).build().unwrap();
    let provider = parent.assume_role(reports()).unwrap();
    let error = provider.credentials().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let message = error.to_string();
    assert!(
        message.starts_with(&format!("the credentials that sign AssumeRole for role {REPORTS} could not be fetched")),
        "{message}"
    );
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(pod.sts().requests(), 0);
    pod.agent().always(Answer::proper());
    let mut changes = provider.subscribe();
    let ready = timeout(Duration::from_secs(15), changes.wait_for(|status| status.health == Health::Ready)).await;
    assert_eq!(ready.expect("the provider recovers").unwrap().refreshes, 1);
}

#[tokio::test]
async fn assume_role_checks_its_parameters() {
    let pod = pod().await;
    let parent = provider(pod.irsa_env());
    let many = |n: usize| (0..n).fold(reports(), |role, n| role.tag(format!("key{n}"), ""));
    for (role, said) in [
        (AssumeRole::new("reports"), "the role ARN of AssumeRole"),
        (reports().session_name("x"), "the session name of AssumeRole"),
        (reports().session_length(Duration::from_secs(899)), "15 minutes to 1 hour"),
        (reports().session_length(Duration::from_secs(3601)), "role chaining lasts at most one hour"),
        (reports().session_length(Duration::from_millis(900_500)), "whole seconds"),
        (reports().policy(""), "the policy of AssumeRole has 0 characters"),
        (reports().policy("x".repeat(2049)), "2,048"),
        (reports().policy_arns(["x"; 11]), "AssumeRole has 11 policy ARNs"),
        (reports().policy_arns(["x"]), "the policy ARN \"x\" of AssumeRole"),
        (reports().external_id("x"), "the external ID of AssumeRole has 1 characters"),
        (reports().external_id("example?"), "the external ID of AssumeRole has 8 characters or an invalid one"),
        (reports().external_id("x".repeat(1225)), "1,224"),
        (many(51), "AssumeRole has 51 session tags"),
        (reports().tag("", "x"), "1 to 128"),
        (reports().tag("x".repeat(129), ""), "1 to 128"),
        (reports().tag("x", "y".repeat(257)), "at most 256"),
        (reports().tag("x", "{}"), "the session tag \"x\" of AssumeRole has the value \"{}\""),
        (reports().tag("Aws:x", ""), "reserved"),
        (reports().tag("team", "a").tag("Team", "b"), "upper and lower case"),
        (reports().source_identity("aws:x"), "reserved"),
        (reports().source_identity("x"), "the source identity of AssumeRole"),
    ] {
        let error = parent.assume_role(role).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
        assert!(error.to_string().contains(said), "{said} is not in: {error}");
        assert!(!error.to_string().contains("example?"), "an external ID is not shown: {error}");
    }
    for role in [
        many(50),
        reports().tag("x".repeat(128), "\u{e4} b_.:/=+-@").transitive_tag("k", "y".repeat(256)),
        reports().session_length(Duration::from_secs(900)),
        reports().session_length(Duration::from_secs(3600)).policy("{}").source_identity("someone"),
    ] {
        parent.assume_role(role).unwrap();
    }
    assert_eq!(pod.sts().requests(), 0, "nothing is sent before the first call");
}

/// With a region, the ARN must have the format of AWS and belong to the partition of the region. Without one, nothing can be signed.
#[test]
fn assume_role_needs_a_region_and_a_role_of_its_partition() {
    let env = |region: &str| {
        let agent = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
        let token = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/var/run/token");
        EksCredentialsProvider::builder().env([agent, token, ("AWS_REGION", region)]).build().unwrap()
    };
    let error = |region: &str, arn: &str| env(region).assume_role(AssumeRole::new(arn)).unwrap_err().to_string();
    assert!(error("", REPORTS).contains("no region is configured"));
    assert!(error("cn-north-1", REPORTS).contains("aws-cn"));
    assert!(error("eu-central-1", "arn:minio:iam:::role/app").contains("the role ARN of AssumeRole"));
    env("cn-north-1").assume_role(AssumeRole::new("arn:aws-cn:iam::444455556666:role/reports")).unwrap();
}

#[tokio::test]
async fn assume_role_without_a_source_returns_not_configured() {
    let parent = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build().unwrap();
    let provider = parent.assume_role(AssumeRole::new(REPORTS)).unwrap();
    assert_eq!(provider.credentials().await.unwrap_err().kind(), ErrorKind::NotConfigured);
    assert_eq!(provider.status().assumed_role, None, "there is no role without a source");
}

#[tokio::test]
async fn assume_role_is_examined_by_the_diagnosis() {
    let pod = pod().await;
    let parent = provider(pod.irsa_env());
    let reports = parent.assume_role(reports()).unwrap();
    let archive = reports.assume_role(AssumeRole::new(ARCHIVE).tag("team", "billing")).unwrap();
    let diagnosis = archive.diagnose().await;
    let find = |id| diagnosis.findings().iter().find(|finding| finding.id == id);
    assert!(find(FindingId::AssumeRoleOk).unwrap().observed.contains(REPORTS));
    let denied = find(FindingId::AssumeRoleDenied).unwrap();
    // The refusal names the role itself, and once is enough.
    assert!(denied.observed.starts_with("STS at ") && denied.observed.contains(ARCHIVE), "{denied:?}");
    assert!(denied.policy.as_deref().unwrap().contains(&format!("{{ \"AWS\": \"{REPORTS}\" }}")), "{denied:?}");
    assert!(find(FindingId::IdentityOk).is_some());
    assert_eq!(leaked(&format!("{diagnosis} {diagnosis:?}")), None);
    // The provider itself has not fetched anything.
    assert_eq!((archive.status().refreshes, reports.status().refreshes), (0, 0));
}

/// An attempt also has time for a refresh of the parent. AssumeRole itself may not use this time.
#[tokio::test]
async fn assume_role_has_the_time_limit_of_one_request() {
    let pod = pod().await;
    let limits =
        builder(pod.irsa_env()).attempt_timeout(Duration::from_secs(1)).startup_timeout(Duration::from_secs(2));
    let parent = limits.build().unwrap();
    parent.warm_up().await.unwrap();
    pod.sts().always(Answer::hang());
    let error = parent.assume_role(reports()).unwrap().credentials().await.unwrap_err();
    assert!(error.to_string().contains("did not respond within 1.0s"), "{error}");
}

/// The time limit for STS, of a request of the diagnosis, is that of the provider.
#[tokio::test]
async fn assume_role_has_a_time_limit_in_the_diagnosis() {
    let pod = pod().await;
    let parent = builder(pod.irsa_env()).attempt_timeout(Duration::from_secs(1)).build().unwrap();
    // The token exchange and GetCallerIdentity work, AssumeRole does not.
    pod.sts().then(Answer::proper()).then(Answer::proper()).then(Answer::hang());
    let diagnosis = parent.assume_role(reports()).unwrap().diagnose().await;
    let timeout = diagnosis.findings().iter().find(|finding| finding.id == FindingId::StsTimeout).unwrap();
    assert!(timeout.observed.starts_with(&format!("AssumeRole for role {REPORTS}: STS at")), "{timeout:?}");
    assert!(timeout.observed.ends_with("within 1.0s"), "{timeout:?}");
    assert_eq!(pod.sts().requests(), 3);
}

#[tokio::test]
async fn assume_role_does_not_show_the_external_id() {
    let role = reports().external_id("not-to-be-shown");
    let provider = provider(pod().await.irsa_env()).assume_role(role.clone()).unwrap();
    let shown = format!("{role:?} {provider:?}");
    assert!(shown.contains(REPORTS) && !shown.contains("not-to-be-shown"), "{shown}");
}

/// The thread of each provider ends with it, and a provider keeps its parent.
#[tokio::test]
async fn assume_role_keeps_its_parent_alive() {
    let pod = pod().await;
    let provider = {
        let parent = provider(pod.irsa_env());
        parent.assume_role(reports()).unwrap()
    };
    assert_eq!(account(&provider.credentials().await.unwrap()), "444455556666");
    let first = provider.credentials().await.unwrap();
    provider.invalidate(&first);
    assert_ne!(provider.credentials().await.unwrap().access_key_id(), first.access_key_id());
    // One token exchange: the parent was kept, and its credentials were still valid.
    assert_eq!(pod.sts().requests(), 3);
}

const DENIED: &str = "HTTP/1.1 403 Forbidden\r\ncontent-type: text/xml\r\nconnection: close\r\n\r\n\
    <ErrorResponse><Error><Code>AccessDenied</Code><Message>denied</Message></Error></ErrorResponse>";

/// The fields of the form in the body of a request, in order.
fn form(request: &str) -> Vec<(String, String)> {
    let body = request.split_once("\r\n\r\n").unwrap().1;
    let mut fields: Vec<_> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    fields.sort();
    fields
}

/// The parameters of the request are those that the SDK sends.
#[tokio::test]
async fn assume_role_sends_the_form_of_the_sdk() {
    use aws_sdk_sts::types::{PolicyDescriptorType, Tag};
    let (pod, sts) = (pod().await, Recorder::start(DENIED).await);
    let endpoint = format!("http://{}", sts.address);
    let (arn, policy) = ("arn:aws:iam::444455556666:role/team/none", r#"{"Version":"2012-10-17","Statement":[]}"#);
    let policies = ["arn:aws:iam::aws:policy/One", "arn:aws:iam::aws:policy/Two"];
    let role = AssumeRole::new(arn)
        .external_id("a/b:c=d@e")
        .session_name("name@example.com")
        .session_length(Duration::from_secs(1800))
        .policy(policy)
        .policy_arns(policies)
        .tag("one", "a b")
        .transitive_tag("two", "\u{e4}+/")
        .transitive_tag("three", "")
        .source_identity("someone");
    let parent = provider(with(pod.pod_identity_env(), "AWS_ENDPOINT_URL_STS", &endpoint));
    let error = parent.assume_role(role).unwrap().credentials().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");

    let sdk = aws_sdk_sts::Client::new(&parent.sdk_config(BehaviorVersion::latest()).endpoint_url(endpoint).build());
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build().unwrap();
    let arns = policies.map(|arn| PolicyDescriptorType::builder().arn(arn).build());
    let request = sdk
        .assume_role()
        .role_arn(arn)
        .external_id("a/b:c=d@e")
        .role_session_name("name@example.com")
        .duration_seconds(1800)
        .policy(policy)
        .set_policy_arns(Some(arns.to_vec()))
        .set_tags(Some(vec![tag("one", "a b"), tag("two", "\u{e4}+/"), tag("three", "")]))
        .set_transitive_tag_keys(Some(vec!["two".to_owned(), "three".to_owned()]))
        .source_identity("someone");
    request.send().await.unwrap_err();
    let [ours, sdks] = sts.requests().try_into().unwrap();
    assert_eq!(form(&ours), form(&sdks));
}

/// A wrong local clock makes STS refuse the time of a signature. With https, STS tells its own time.
#[cfg(feature = "__tls")]
#[tokio::test]
async fn assume_role_works_with_a_wrong_clock() {
    use aws_smithy_async::time::{SystemTimeSource, TimeSource as _};
    use support::ca::{Ca, named};
    let ca = Ca::new();
    let bundle = ca.bundle();
    for (offset, parent, requests) in [
        // The agent does not know the time of STS, so the request is signed again.
        (3600, SourceKind::PodIdentity, 2),
        (-3600, SourceKind::PodIdentity, 2),
        (100, SourceKind::PodIdentity, 1),
        // The token exchange shows the time of STS. It is not signed.
        (3600, SourceKind::WebIdentity, 2),
        (-3600, SourceKind::WebIdentity, 2),
    ] {
        let pod = pod().await;
        pod.sts().set_clock_offset(offset).set_lifetime(Duration::from_secs(3600));
        let sts = ca.in_front_of(pod.sts().address(), named("localhost")).await;
        let env = match parent {
            SourceKind::PodIdentity => pod.pod_identity_env(),
            _ => pod.irsa_env(),
        };
        let env = with(env, "AWS_ENDPOINT_URL_STS", &format!("https://localhost:{}", sts.port()));
        let env = with(env, "AWS_CA_BUNDLE", bundle.path().to_str().unwrap());
        let reports = provider(env).assume_role(reports()).unwrap();
        let credentials = reports.credentials().await.unwrap();
        let left = credentials.expiry().unwrap().duration_since(SystemTimeSource::new().now()).unwrap();
        assert!((3500..3605).contains(&left.as_secs()), "{offset} {parent}: {left:?}");
        assert_eq!(pod.sts().requests(), requests, "{offset} {parent}");
    }
}
