//! Secrets appear neither in `Debug` output nor in errors, whatever the servers send. Logs are checked too: every test of this
//! crate searches its log, at the level TRACE, for secrets.
#![cfg(all(feature = "irsa", feature = "pod-identity", feature = "sdk-config"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod support;

use aws_types::service_config::ServiceConfigKey;
use eks_credentials::testing::{Answer, LocalPod};
use support::{SECRETS, builder, leaked, whole, with};

#[test]
fn leak_check_finds_secrets_in_every_encoding() {
    use base64::Engine as _;
    for secret in SECRETS {
        assert_eq!(leaked(&format!("x {secret}rest")), Some(secret));
        for skip in 0..3 {
            let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{}{secret}rest", "-".repeat(skip)));
            assert_eq!(leaked(&encoded), Some(secret), "{encoded}");
        }
    }
    assert_eq!(leaked(&format!("{:02x?}", SECRETS[0].as_bytes()).replace(", ", "")), Some(SECRETS[0]));
    assert_eq!(leaked(&format!("{:?}", format!("x{}x", SECRETS[1]).as_bytes())), Some(SECRETS[1]));
    assert_eq!(leaked("nothing here"), None);
    let secret = "a-whole-secret/of-two-halves";
    let base64 = base64::engine::general_purpose::STANDARD.encode(format!("-{secret}"));
    let shown = [&secret[..secret.len() / 2], &secret[secret.len() / 2..], &base64[..20], &base64[20..]];
    assert_eq!(shown.map(leaked), [None; 4]);
    support::keep_secret(secret);
    for half in shown {
        assert!(leaked(&format!("x{half}x")).is_some(), "{half}");
    }
}

#[tokio::test]
async fn debug_output_shows_no_secret() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let mut printed = vec![format!("{:?} {:?} {:?}", LocalPod::builder(), Answer::proper(), pod.irsa_token())];
    for env in [pod.irsa_env(), pod.pod_identity_env()] {
        let token = std::fs::read_to_string(pod.irsa_token().path()).unwrap();
        let env = with(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN", &token);
        let builder = builder(env.clone());
        printed.push(format!("{builder:?} {builder:#?}"));
        let provider = builder.build().unwrap();
        let credentials = provider.credentials().await.unwrap();
        let issued = pod.ledger().get(credentials.access_key_id()).unwrap();
        printed.push(format!("{provider:?} {provider:#?} {credentials:?} {issued:?} {:?}", provider.status()));
        printed.push(format!("{:?}", provider.identity_cache()));
        printed.push(format!("{:?}", provider.sdk_config(eks_credentials::BehaviorVersion::latest())));
    }
    printed.extend(of_variables_with_secrets(&pod).await);
    // Printed after both servers have issued credentials.
    printed.push(format!("{pod:?} {pod:#?} {:?} {:?}", pod.ledger(), pod.sts()));
    for text in printed {
        assert_eq!(leaked(&text), None, "{text}");
    }
}

/// An SDK client that needs the bearer token receives it. Static keys are never used.
async fn of_variables_with_secrets(pod: &LocalPod) -> Vec<String> {
    let env = with(pod.irsa_env(), "AWS_BEARER_TOKEN_BEDROCK", "local-secret-bearer");
    let env = with(env, "AWS_SECRET_ACCESS_KEY", "local-secret-static");
    let env = with(env, "AWS_SESSION_TOKEN", "local-session-static");
    let provider = builder(env).build().unwrap();
    let sdk_config = provider.sdk_config(eks_credentials::BehaviorVersion::latest());
    let mut printed = vec![format!("{provider:?} {sdk_config:?}")];
    let config = sdk_config.build();
    let key =
        ServiceConfigKey::builder().service_id("Bedrock").env("AWS_BEARER_TOKEN").profile("none").build().unwrap();
    let token = config.service_config().unwrap().load_config(key);
    assert_eq!(token.as_deref(), Some("local-secret-bearer"));
    printed.push(format!("{config:?} {config:#?} {}", provider.diagnose().await));
    printed
}

/// The servers send keys and tokens in the wrong places, and truncated ones.
#[tokio::test]
async fn error_never_shows_a_secret_sent_by_a_server() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let token = std::fs::read_to_string(pod.irsa_token().path()).unwrap();
    let xml = |keys: &str| {
        format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>{keys}</Credentials>\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        )
    };
    let bodies = [
        xml("<AccessKeyId>A</AccessKeyId><SecretAccessKey>local-secret-1</SecretAccessKey>"),
        xml("<AccessKeyId>A</AccessKeyId><SecretAccessKey>local-secret-1</AccessKeyId>"),
        xml("<AccessKeyId>A</AccessKeyId><SecretAccessKey>local-secret-1&bad;</SecretAccessKey>"),
        r#"{"AccessKeyId":"A","SecretAccessKey":"local-secret-1","Token":["local-session-1"]}"#.to_owned(),
        r#"{"AccessKeyId":"A","SecretAccessKey":"local-secret-1","Token":"local-session-1","Expiration":"soon"}"#
            .to_owned(),
        r#"{"AccessKeyId":"A","SecretAccessKey":"local-secret-1","Token":"local-session-1"#.to_owned(),
    ];
    let refusals = [
        format!("your token {token} is not nice"),
        format!("<ErrorResponse><Error><Code>AccessDenied</Code><Message>{token}</Message></Error></ErrorResponse>"),
        format!(r#"{{"Code":"AccessDenied","Message":"{token}"}}"#),
    ];
    let answers = bodies.into_iter().map(|body| Answer::http(200, body));
    let answers = answers.chain(refusals.into_iter().map(|body| Answer::http(400, body)));
    let answers = answers.chain([Answer::http_as(200, format!("text/{token}"), "hello")]);
    let under_another_status = r#"{"AccessKeyId":"A","SecretAccessKey":"local-secret-1","Token":"local-session-1"}"#;
    let answers = answers.chain([Answer::http_as(201, "application/json", under_another_status)]);
    for answer in answers.chain([Answer::truncated(), Answer::expired(), Answer::reset()]) {
        for (stand_in, env) in [(pod.sts(), pod.irsa_env()), (pod.agent(), pod.pod_identity_env())] {
            stand_in.always(answer.clone());
            let short = builder(env).startup_timeout(support::millis(200)).build().unwrap();
            let Err(error) = short.credentials().await else { continue };
            let text = format!("{} {error:?} {:?}", whole(&error), short.status());
            assert!(!text.contains("local-secret-") && !text.contains("local-session-"), "{answer:?}: {text}");
            // `token` was only sent to STS, so only errors of STS must not contain it.
            let jwt = stand_in.address() == pod.sts().address() && text.contains("eyJ0eXAi");
            assert!(!jwt, "{answer:?}: {text}");
        }
    }
}
