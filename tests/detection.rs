//! Which source is detected in an environment, and the errors for environments without a usable source.
#![cfg(all(feature = "irsa", feature = "pod-identity"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod support;
#[path = "support/timeline.rs"]
mod timeline;

use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use eks_credentials::migration::Preference;
use eks_credentials::{EksCredentialsProvider, ErrorKind, Health, SourceKind};
use support::whole;

const ROLE: (&str, &str) = ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/app");
const TOKEN: (&str, &str) = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/eks.amazonaws.com/serviceaccount/token");
const REGION: (&str, &str) = ("AWS_REGION", "eu-central-1");
const FULL: (&str, &str) = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
const FULL_V6: (&str, &str) = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://[fd00:ec2::23]/v1/credentials");
const RELATIVE: (&str, &str) = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/id");
const AGENT_TOKEN: (&str, &str) = (
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token",
);

/// The detected source, `None` for none, or the error.
fn detected(env: &[(&str, &str)]) -> Result<Option<SourceKind>, String> {
    let provider = EksCredentialsProvider::builder().env(env.iter().copied()).build().map_err(|e| whole(&e))?;
    Ok(provider.status().source)
}

#[test]
fn detection_finds_each_source_and_the_order_of_both() {
    use SourceKind::{PodIdentity, WebIdentity};
    for (env, expected) in [
        (vec![], None),
        (vec![ROLE, TOKEN, REGION], Some(WebIdentity)),
        (vec![FULL, AGENT_TOKEN], Some(PodIdentity)),
        (vec![FULL_V6, AGENT_TOKEN], Some(PodIdentity)),
        // On ECS, no token is set.
        (vec![RELATIVE], Some(PodIdentity)),
        (vec![ROLE, TOKEN, REGION, FULL, AGENT_TOKEN], Some(WebIdentity)),
        (vec![ROLE, TOKEN, REGION, FULL, AGENT_TOKEN, ("EKS_CREDENTIALS_SOURCE", "pod-identity")], Some(PodIdentity)),
        (vec![ROLE, TOKEN, REGION, FULL, AGENT_TOKEN, ("EKS_CREDENTIALS_SOURCE", "irsa")], Some(WebIdentity)),
        (vec![ROLE, TOKEN, REGION, FULL, AGENT_TOKEN, ("EKS_CREDENTIALS_SOURCE", " auto ")], Some(WebIdentity)),
        // A preference for a source that is not configured is ignored.
        (vec![ROLE, TOKEN, REGION, ("EKS_CREDENTIALS_SOURCE", "pod-identity")], Some(WebIdentity)),
        // No AWS SDK accepts a role ARN alone as IRSA.
        (vec![ROLE, FULL, AGENT_TOKEN], Some(PodIdentity)),
        // An empty or blank value counts as unset.
        (vec![(ROLE.0, ""), (TOKEN.0, "  "), FULL, AGENT_TOKEN], Some(PodIdentity)),
        (
            vec![(ROLE.0, " arn:aws-cn:iam::111122223333:role/path/to/app "), TOKEN, ("AWS_REGION", "cn-north-1")],
            Some(WebIdentity),
        ),
        // Upper and lower case are equivalent.
        (vec![ROLE, TOKEN, REGION, FULL, AGENT_TOKEN, ("EKS_CREDENTIALS_SOURCE", "Pod-Identity")], Some(PodIdentity)),
        (vec![ROLE, TOKEN, REGION, FULL, AGENT_TOKEN, ("EKS_CREDENTIALS_SOURCE", "IRSA")], Some(WebIdentity)),
        (vec![ROLE, TOKEN, REGION, FULL, AGENT_TOKEN, ("EKS_CREDENTIALS_SOURCE", "AUTO")], Some(WebIdentity)),
        // The agent's address is only in the query. Another server may accept requests without a token.
        (vec![(FULL.0, "http://127.0.0.1:9/x?for=169.254.170.23")], Some(PodIdentity)),
    ] {
        assert_eq!(detected(&env), Ok(expected), "{env:?}");
    }
}

#[test]
fn source_variable_has_precedence_over_the_builder() {
    let both = [ROLE, TOKEN, REGION, FULL, AGENT_TOKEN];
    let source = |env: &[(&str, &str)]| {
        let builder = EksCredentialsProvider::builder().prefer(SourceKind::PodIdentity).env(env.iter().copied());
        builder.build().unwrap().status().source.unwrap()
    };
    assert_eq!(source(&both), SourceKind::PodIdentity);
    assert_eq!(source(&[&both[..], &[("EKS_CREDENTIALS_SOURCE", "irsa")]].concat()), SourceKind::WebIdentity);
    assert_eq!(source(&[&both[..], &[("EKS_CREDENTIALS_SOURCE", "auto")]].concat()), SourceKind::WebIdentity);
}

#[test]
fn detection_describes_the_source_and_the_other_one() {
    use SourceKind::{PodIdentity, WebIdentity};
    let both = [ROLE, TOKEN, REGION, FULL, AGENT_TOKEN];
    let with = |more: &[(&'static str, &'static str)]| [&both[..], more].concat();
    let irsa = "AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE are set";
    let agent = "AWS_CONTAINER_CREDENTIALS_FULL_URI and AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE are set";
    let second = "EKS Pod Identity is also configured, and comes second in the order of the AWS SDKs";
    let source = ("EKS_CREDENTIALS_SOURCE", "pod-identity");
    let builder = EksCredentialsProvider::builder;
    for (builder, env, said, preference, other) in [
        (
            builder(),
            vec![ROLE, TOKEN, REGION],
            format!("IRSA is used: {irsa}; EKS Pod Identity is not configured"),
            Preference::SdkOrder,
            None,
        ),
        (
            builder(),
            vec![RELATIVE],
            "EKS Pod Identity is used: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is set; IRSA is not configured"
                .to_owned(),
            Preference::SdkOrder,
            None,
        ),
        (builder(), with(&[]), format!("IRSA is used: {irsa}; {second}"), Preference::SdkOrder, Some(PodIdentity)),
        (
            builder().role_arn("arn:aws:iam::111122223333:role/app").fallback(true),
            with(&[("EKS_CREDENTIALS_SOURCE", "auto")]),
            format!(
                "IRSA is used: the builder's role_arn and AWS_WEB_IDENTITY_TOKEN_FILE are set; {second}; the provider \
                 falls back to it after a permanent denial"
            ),
            Preference::SdkOrder,
            Some(PodIdentity),
        ),
        (
            builder().prefer(WebIdentity),
            with(&[source]),
            format!(
                "EKS Pod Identity is used: {agent}; IRSA is also configured, and comes second because of \
                 EKS_CREDENTIALS_SOURCE=pod-identity"
            ),
            Preference::Environment(PodIdentity),
            Some(WebIdentity),
        ),
        (
            builder().prefer(PodIdentity).fallback(true),
            vec![ROLE, TOKEN, REGION],
            format!(
                "IRSA is used: {irsa}; EKS Pod Identity is not configured, although the builder's prefer(pod-identity) prefers it"
            ),
            Preference::Builder(PodIdentity),
            None,
        ),
    ] {
        let provider = builder.env(env.clone()).build().unwrap();
        let detection = provider.detection().unwrap();
        assert_eq!(detection.to_string(), said, "{env:?}");
        assert_eq!((detection.preference(), detection.other()), (preference, other), "{env:?}");
        assert_eq!(Some(detection.source()), provider.status().source);
        assert_eq!(detection.fallback(), said.ends_with("falls back to it after a permanent denial"));
        assert!(detection.other_problem().is_none() && detection.settings().iter().all(|name| said.contains(name)));
    }
    let none = builder().env([REGION]).build().unwrap();
    assert_eq!(none.detection().unwrap_err().kind(), ErrorKind::NotConfigured);
}

#[test]
fn detection_names_the_problem_of_the_other_source() {
    let both = EksCredentialsProvider::builder().env([ROLE, TOKEN, REGION, FULL, AGENT_TOKEN]);
    let half = EksCredentialsProvider::builder().env([ROLE, TOKEN, REGION, FULL]);
    let remnant = EksCredentialsProvider::builder().env([ROLE, FULL, AGENT_TOKEN]);
    for (builder, said) in [
        (half, "EKS Pod Identity cannot be used: EKS Pod Identity is only half configured: "),
        (both.policy("{}"), "EKS Pod Identity cannot be used: policy(..) or policy_arns(..) was called"),
        (remnant, "IRSA cannot be used: IRSA is only half configured: AWS_ROLE_ARN="),
    ] {
        let provider = builder.build().unwrap();
        let detection = provider.detection().unwrap();
        assert!(detection.to_string().contains(said), "{detection}");
        assert_eq!(detection.other(), None);
        assert_eq!(detection.other_problem().unwrap().kind(), ErrorKind::InvalidConfiguration);
    }
}

#[test]
fn build_error_names_what_is_missing_or_invalid() {
    let webhook = "the EKS webhook injects a pair of variables unless the container sets one of them";
    for (env, named) in [
        (vec![ROLE, REGION], vec![ROLE.0, ROLE.1, "AWS_WEB_IDENTITY_TOKEN_FILE is not", webhook]),
        (vec![TOKEN, REGION], vec![TOKEN.0, TOKEN.1, "AWS_ROLE_ARN is not", webhook]),
        (vec![FULL], vec![FULL.0, FULL.1, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE is not", webhook]),
        (vec![(FULL.0, "http://[fd00:ec2::23]/v1/credentials")], vec!["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE is not"]),
        (vec![AGENT_TOKEN], vec![AGENT_TOKEN.0, AGENT_TOKEN.1, "AWS_CONTAINER_CREDENTIALS_FULL_URI is not", webhook]),
        // The first source in the order decides, even if the second one is complete.
        (vec![TOKEN, REGION, FULL, AGENT_TOKEN], vec!["AWS_ROLE_ARN is not"]),
        (vec![ROLE, TOKEN], vec!["no region is configured", "AWS_REGION"]),
        // Another form of the agent's address.
        (
            vec![(FULL.0, "http://[fd00:ec2:0:0:0:0:0:23]/v1/credentials")],
            vec!["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE is not"],
        ),
        (
            vec![(ROLE.0, "arn:aws-cn:iam::111122223333:role/x"), TOKEN, REGION],
            vec!["arn:aws-cn:iam::111122223333:role/x", "eu-central-1", "different partitions"],
        ),
        (vec![(ROLE.0, "my-role"), TOKEN, REGION], vec!["AWS_ROLE_ARN", "my-role", "not a role ARN"]),
        (vec![(ROLE.0, "arn:aws:iam::12:role/x"), TOKEN, REGION], vec!["arn:aws:iam::12:role/x", "not a role ARN"]),
        (vec![(ROLE.0, "arn:aws:iam::111122223333:user/x"), TOKEN, REGION], vec!["not a role ARN"]),
        (vec![(FULL.0, "http://8.8.8.8/x"), AGENT_TOKEN], vec!["http://8.8.8.8/x", "not allowed", "loopback"]),
        (vec![(FULL.0, "169.254.170.23"), AGENT_TOKEN], vec!["169.254.170.23", "is not a URL"]),
        (vec![(RELATIVE.0, "v2/credentials")], vec!["v2/credentials", "begin it with \"/\""]),
        (vec![ROLE, TOKEN, ("AWS_REGION", "Frankfurt")], vec!["AWS_REGION", "Frankfurt"]),
        (vec![("EKS_CREDENTIALS_SOURCE", "IAM")], vec!["EKS_CREDENTIALS_SOURCE", "IAM", "pod-identity and auto"]),
        (vec![ROLE, TOKEN, REGION, ("AWS_ROLE_SESSION_NAME", "a b")], vec!["\"a b\"", "2 to 64"]),
        (vec![ROLE, TOKEN, REGION, ("AWS_USE_FIPS_ENDPOINT", "yes")], vec!["AWS_USE_FIPS_ENDPOINT", "yes"]),
    ] {
        let error = EksCredentialsProvider::builder().env(env.clone()).build().expect_err(&format!("{env:?}"));
        assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
        let message = error.to_string();
        for part in named {
            assert!(message.contains(part), "{message}\nlacks {part}");
        }
        assert!(matches!(CredentialsError::from(error), CredentialsError::InvalidConfiguration(_)));
    }
}

#[test]
fn build_rejects_settings_out_of_range() {
    use std::time::Duration;
    let builder = || EksCredentialsProvider::builder().env([ROLE, TOKEN, REGION]);
    let arns = |n: u32| builder().policy_arns((0..n).map(|n| format!("arn:aws:iam::aws:policy/{n}")));
    // The limits themselves are allowed.
    builder().policy("x".repeat(2048)).session_length(Duration::from_secs(43_200)).session_name("xy").build().unwrap();
    arns(10).build().unwrap();
    for (result, named) in [
        (builder().session_length(Duration::from_secs(60)).build(), "15 minutes"),
        (builder().session_length(Duration::from_millis(900_500)).build(), "whole seconds"),
        (builder().policy("x".repeat(2049)).build(), "2049 characters"),
        (builder().policy_arns(["ReadOnlyAccess"]).build(), "ReadOnlyAccess"),
        (arns(11).build(), "11 policy ARNs"),
        (builder().role_arn("arn:aws:iam::111122223333:role/").build(), "is not a role ARN"),
        (builder().role_arn("arn:aws:iam::111122223333:role/team/").build(), "is not a role ARN"),
        (builder().sts_endpoint("https://me@sts.example.com").build(), "must not contain a user name"),
        (builder().sts_endpoint("https://:hunter2@sts.example.com").build(), "must not contain a user name"),
        (builder().session_name("x").build(), "2 to 64"),
        (builder().sts_endpoint("localhost:4566").build(), "localhost:4566"),
        (builder().region("Frankfurt").build(), "Frankfurt"),
        (builder().startup_timeout(Duration::ZERO).build(), "startup_timeout"),
    ] {
        let error = result.expect_err(named);
        assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn build_rejects_settings_that_would_have_no_effect() {
    let pod_identity = || EksCredentialsProvider::builder().env([FULL, AGENT_TOKEN]);
    let both = || EksCredentialsProvider::builder().env([ROLE, TOKEN, REGION, FULL, AGENT_TOKEN]);
    let broken = || EksCredentialsProvider::builder().env([ROLE, TOKEN, REGION, FULL]);
    for (result, named) in [
        // The process would have more permissions than intended.
        (pod_identity().policy("{}").build(), "cannot contain session policies"),
        (
            pod_identity().policy_arns(["arn:aws:iam::aws:policy/ReadOnlyAccess"]).build(),
            "cannot contain session policies",
        ),
        (both().policy("{}").fallback(true).build(), "cannot contain session policies"),
        // Settings of IRSA are checked in a pod with Pod Identity too.
        (
            pod_identity().role_arn(ROLE.1).build(),
            "the builder's role_arn=\"arn:aws:iam::111122223333:role/app\" is set",
        ),
        (pod_identity().session_name("x").build(), "2 to 64"),
        (pod_identity().sts_endpoint("localhost:4566").build(), "localhost:4566"),
        (pod_identity().region(" ").build(), "the region given to the builder is empty"),
        (both().role_arn("my-role").build(), "the builder's role_arn=\"my-role\""),
        // A fallback that cannot work is an error.
        (broken().fallback(true).build(), "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE is not"),
    ] {
        let error = result.expect_err(named);
        assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
        assert!(error.to_string().contains(named), "{error}");
    }
    // Only the host name of STS requires an AWS region.
    pod_identity().region("garage").build().unwrap();
    assert_eq!(both().policy("{}").build().unwrap().status().source, Some(SourceKind::WebIdentity));
    assert_eq!(broken().build().unwrap().status().source, Some(SourceKind::WebIdentity));
}

#[test]
fn build_error_hides_passwords_in_invalid_urls() {
    for (name, value) in [
        (FULL.0, "http://me:hunter2@:bad:port"),
        (RELATIVE.0, "me:hunter2@x"),
        ("AWS_ENDPOINT_URL_STS", "me:hunter2@sts"),
    ] {
        let error = EksCredentialsProvider::builder().env([ROLE, TOKEN, AGENT_TOKEN, (name, value)]);
        let error = error.prefer(if name == "AWS_ENDPOINT_URL_STS" {
            SourceKind::WebIdentity
        } else {
            SourceKind::PodIdentity
        });
        let error = whole(&error.build().unwrap_err());
        assert!(error.contains(name) && !error.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn not_configured_names_variables_and_passes_on_in_a_chain() {
    let provider = EksCredentialsProvider::builder().env([("PATH", "/bin")]).build().unwrap();
    let error = provider.credentials().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConfigured);
    let message = error.to_string();
    for part in [ROLE.0, TOKEN.0, FULL.0, "annotate", "association", "webhook", "agent add-on", "create the pod again"]
    {
        assert!(message.contains(part), "{message}\nlacks {part}");
    }
    assert_eq!(provider.status().last_error.unwrap().kind(), ErrorKind::NotConfigured);
    let seen = provider.subscribe().borrow().clone();
    assert_eq!((seen.health, seen.last_error.unwrap().kind()), (Health::Failed, ErrorKind::NotConfigured));
    let sdk = provider.provide_credentials().await.unwrap_err();
    assert!(matches!(sdk, CredentialsError::CredentialsNotLoaded(_)));

    let laptop = aws_credential_types::Credentials::new("laptop", "key", None, None, "profile");
    let chain =
        aws_config::meta::credentials::CredentialsProviderChain::first_try("eks", provider).or_else("profile", laptop);
    assert_eq!(chain.provide_credentials().await.unwrap().access_key_id(), "laptop");
}

#[test]
fn role_arn_of_another_sts_needs_a_configured_endpoint() {
    let endpoint = ("AWS_ENDPOINT_URL_STS", "https://sts.example.com");
    for arn in ["arn:minio:iam:::role/x", "arn:aws:iam:::role/app", "arn:aws:iam::12345:role/app"] {
        let role = (ROLE.0, arn);
        assert_eq!(detected(&[role, TOKEN, REGION, endpoint]), Ok(Some(SourceKind::WebIdentity)), "{arn}");
        // A region is not needed.
        assert_eq!(detected(&[role, TOKEN, endpoint]), Ok(Some(SourceKind::WebIdentity)), "{arn}");
        let refused = detected(&[role, TOKEN, REGION]).unwrap_err();
        assert!(refused.contains(arn) && refused.contains("expected arn:aws:iam::<12-digit account>"), "{refused}");
        let ignored = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
        assert!(detected(&[role, TOKEN, REGION, endpoint, ignored]).is_err(), "{arn}");
    }
    let refused = detected(&[(ROLE.0, "role/app"), TOKEN, REGION, endpoint]).unwrap_err();
    assert!(refused.contains("begins with \"arn:\""), "{refused}");
}

#[test]
fn build_warns_once_about_sts_in_clear_text() {
    use timeline::Timeline;
    use tracing_subscriber::layer::SubscriberExt as _;
    for (url, warnings) in [
        ("http://sts.example.com", 1),
        ("https://sts.example.com", 0),
        ("http://localhost:4566", 0),
        ("http://[::1]", 0),
    ] {
        let said = Timeline::begin("operator");
        let subscriber = tracing_subscriber::registry().with(said.layer());
        let env = [ROLE, TOKEN, REGION, ("AWS_ENDPOINT_URL_STS", url)];
        tracing::subscriber::with_default(subscriber, || detected(&env).unwrap());
        assert_eq!(said.to_string().matches("the STS endpoint uses plain http").count(), warnings, "{said}");
    }
}
