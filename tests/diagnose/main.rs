//! Every finding can be produced, and contains enough to act on. `findings.txt` contains what the example `doctor`
//! prints for each fault, and the catalogue in the documentation is generated from it.
//! `EKS_CREDENTIALS_BLESS=1 cargo test --test diagnose` updates both: review the changes. It updates the entries of
//! the tests that run and keeps all others. The entry of `token-not-readable` can be updated only by a user without permission
//! to read every file, for example with `unshare --user`.
#![cfg(all(unix, feature = "irsa", feature = "pod-identity", feature = "__tls"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

#[path = "../../examples/support/faults.rs"]
mod faults;
#[path = "../support/generated.rs"]
mod generated;
mod normal;
mod snapshots;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use eks_credentials::testing::{Answer, LocalPod};
use eks_credentials::{Diagnosis, EksCredentialsProvider, ErrorKind, FindingId, Severity};
use faults::Fault;
use support::{bless_or_compare, builder, leaked, provider, with};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Whether this user can produce the fault. Root can read every file.
fn can_be_produced(fault: &Fault) -> bool {
    let denied = fault.name == "token-not-readable";
    !denied || !support::may_read_everything()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn diagnosis_of_every_fault_matches_its_snapshot() {
    support::trace();
    support::watch_panics();
    for fault in faults::all() {
        if !can_be_produced(&fault) {
            continue;
        }
        let diagnosis = fault.diagnose().await;
        let found = diagnosis.findings().iter().any(|finding| finding.id == fault.finds);
        assert!(found, "{} does not lead to {}:\n{diagnosis}", fault.name, fault.finds);
        for text in [diagnosis.to_string(), format!("{diagnosis:?}"), serde_json::json!(diagnosis).to_string()] {
            assert_eq!(leaked(&text), None, "{}: {text}", fault.name);
            assert!(!text.contains("hunter2") && !text.contains("AKIAEXAMPLE"), "{}: {text}", fault.name);
        }
        for finding in diagnosis.findings().iter().filter(|finding| finding.severity >= Severity::Warning) {
            let explained = finding.expected.is_some() && finding.remedy.is_some();
            assert!(explained, "{} lacks an expectation or a remedy: {finding:?}", finding.id);
            let remedy = finding.remedy.as_deref().unwrap_or_default();
            assert!(!finding.observed.contains(remedy), "the observation repeats the remedy: {finding:?}");
        }
        compare(fault.name, &normal::normalised(&diagnosis.to_string()));
    }
}

/// The technical causes differ between HTTP clients, and `findings.txt` has those of the default client. With another
/// client, everything else is compared.
fn compare(fault: &str, text: &str) {
    if !cfg!(feature = "sdk-http-client") && !cfg!(feature = "rustls-ring") {
        return snapshots::compare(fault, text);
    }
    let kept = snapshots::all().remove(fault).unwrap_or_default();
    assert_eq!(normal::without_causes(&kept), normal::without_causes(text), "{fault}");
}

/// `.ci/run` runs this test in a user namespace (`unshare --user`), where root has no more rights than other users.
#[tokio::test]
async fn a_token_that_may_not_be_read_names_uid_and_mode() {
    let fault = faults::all().into_iter().find(|fault| fault.name == "token-not-readable").unwrap();
    if !can_be_produced(&fault) {
        eprintln!("skipped: this user may read every file");
        return;
    }
    let diagnosis = fault.diagnose().await.to_string();
    assert!(diagnosis.contains("mode 0000") && diagnosis.contains("fsGroup"), "{diagnosis}");
    snapshots::compare(fault.name, &normal::normalised(&diagnosis));
}

#[test]
fn every_finding_has_a_fault_and_every_fault_a_snapshot() {
    let faults = faults::all();
    let snapshots = snapshots::all();
    let names: BTreeSet<_> = faults.iter().map(|fault| fault.name).collect();
    assert_eq!(names.len(), faults.len(), "two faults have the same name");
    let snapshot_names: BTreeSet<_> = snapshots.keys().map(String::as_str).collect();
    let unpaired: Vec<_> = snapshot_names.symmetric_difference(&names).collect();
    assert!(unpaired.is_empty(), "a fault without an entry in findings.txt, or an entry without a fault: {unpaired:?}");
    let shown: String = snapshots.into_values().collect();
    for id in FindingId::ALL {
        assert!(shown.contains(&format!(" {id}: ")), "no fault leads to {id}");
    }
    let distinct: BTreeSet<_> = faults.iter().map(|fault| fault.finds.as_str()).collect();
    assert!(distinct.len() >= 25, "{distinct:?}");
}

/// The generated part of the page is written from the catalogue and the snapshots.
#[test]
fn catalogue_page_lists_every_finding_with_an_example() {
    let mut catalogue = String::new();
    for id in FindingId::ALL {
        let (fault, example) = example(id.as_str()).unwrap_or_default();
        let _ = writeln!(catalogue, "### {id}\n\n{}. {}\n", capital(id.title()), markdown(id.cause()));
        let _ = writeln!(catalogue, "`doctor --local {fault}`\n\n```text\n{example}```\n");
    }
    let path = root().join("src/docs/findings.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, _, after) = generated::split(&page).unwrap();
    bless_or_compare(&path, &format!("{before}{}\n{after}", catalogue.trim_end()));
}

/// An example of a finding, and the name of the fault that produces it: preferably a fault that is meant for this
/// finding.
fn example(id: &str) -> Option<(&'static str, String)> {
    let snapshots = snapshots::all();
    let shown = faults::all().into_iter().filter_map(|fault| {
        let example = normal::excerpt(snapshots.get(fault.name)?, id)?;
        Some((fault.finds.as_str() != id, fault.name, example))
    });
    shown.min_by_key(|(is_of_another, ..)| *is_of_another).map(|(_, fault, example)| (fault, example))
}

/// Escapes `text` so that rustdoc shows it literally.
fn markdown(text: &str) -> String {
    let word = |word: &str| match word {
        url if url.starts_with("http") && url.contains("://") => format!("`{url}`"),
        other => other.replace('<', "\\<").replace('[', "\\["),
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[tokio::test]
async fn diagnosis_sends_one_request_and_keeps_current_credentials() {
    let pod = LocalPod::start().await.unwrap();
    let provider = provider(pod.irsa_env());
    let served = provider.credentials().await.unwrap();
    pod.sts().then(Answer::refuse("ServiceUnavailable"));

    let diagnosis = provider.diagnose().await;

    assert_eq!(diagnosis.findings()[0].id, FindingId::StsFailing, "{diagnosis}");
    assert_eq!(pod.sts().requests(), 2, "one request for the current credentials, one for the diagnosis");
    assert_eq!(provider.cached().unwrap().access_key_id(), served.access_key_id());
    let status = provider.status();
    assert_eq!((status.refreshes, status.consecutive_failures), (1, 0));
}

#[tokio::test]
async fn builder_diagnoses_settings_that_build_refuses() {
    let pod = LocalPod::start().await.unwrap();
    let env = with(pod.irsa_env(), "AWS_ROLE_ARN", "a-role");
    assert_eq!(builder(env.clone()).build().unwrap_err().kind(), ErrorKind::InvalidConfiguration);
    let diagnosis = builder(env).diagnose().await;
    assert_eq!((diagnosis.severity(), diagnosis.source()), (Severity::Error, None));
    let ids: Vec<_> = diagnosis.findings().iter().map(|finding| finding.id).collect();
    assert!(
        ids.contains(&FindingId::RoleArn) && ids.contains(&FindingId::TokenOk),
        "the token is checked too: {ids:?}"
    );

    let zero = builder(pod.irsa_env()).startup_timeout(Duration::ZERO).diagnose().await;
    assert_eq!(zero.findings()[0].id, FindingId::Config);
    assert!(zero.findings()[0].observed.contains("startup_timeout"), "{zero}");
}

/// Two problems of one kind are two findings. The same problem found twice is one finding.
#[tokio::test]
async fn findings_of_one_kind_are_distinguished_by_what_was_observed() {
    let pod = LocalPod::start().await.unwrap();
    let observed = |diagnosis: &Diagnosis, id| -> Vec<String> {
        let findings = diagnosis.findings().iter().filter(|finding| finding.id == id);
        findings.map(|finding| finding.observed.clone()).collect()
    };
    let switches = [("AWS_USE_FIPS_ENDPOINT", "yes"), ("AWS_USE_DUALSTACK_ENDPOINT", "no")];
    for env in [pod.irsa_env(), pod.pod_identity_env()] {
        let env = switches.into_iter().fold(env, |env, (name, value)| with(env, name, value));
        let diagnosis = builder(env).diagnose().await;
        assert_eq!(
            observed(&diagnosis, FindingId::Flag),
            switches.map(|(name, value)| format!("{name}=\"{value}\" is neither \"true\" nor \"false\"")),
            "{diagnosis}"
        );
    }
    let env = with(pod.irsa_env(), "AWS_ROLE_SESSION_NAME", "x");
    let diagnosis = builder(env).startup_timeout(Duration::ZERO).diagnose().await;
    let settings = observed(&diagnosis, FindingId::Config);
    let both = settings.len() == 2 && settings[0].contains("AWS_ROLE_SESSION_NAME") && settings[1].contains("startup");
    assert!(both, "{diagnosis}");
}

#[tokio::test]
async fn half_configured_preferred_source_is_one_finding() {
    let pod = LocalPod::start().await.unwrap();
    for (env, chosen, half) in [
        (
            with(pod.pod_identity_env(), "AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/local-pod"),
            "irsa",
            FindingId::IrsaHalf,
        ),
        (
            with(pod.irsa_env(), "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/t"),
            "pod-identity",
            FindingId::PodIdentityHalf,
        ),
    ] {
        let diagnosis = builder(with(env, "EKS_CREDENTIALS_SOURCE", chosen)).diagnose().await;
        let warnings: Vec<_> =
            diagnosis.findings().iter().filter(|finding| finding.severity > Severity::Info).collect();
        let [finding] = warnings.as_slice() else { panic!("{diagnosis}") };
        let consequences: Vec<_> = finding.consequences.iter().map(|finding| finding.id).collect();
        assert_eq!((finding.id, consequences), (half, vec![FindingId::SourceAbsent]), "{diagnosis}");
    }
}

/// The printed statement is pasted into IAM: it must be valid JSON, and match the claims of the token.
#[tokio::test]
async fn denial_prints_the_trust_policy_statement_that_matches() {
    let pod = LocalPod::builder().role_arn("arn:aws-cn:iam::111122223333:role/team/app").region("cn-north-1").start();
    let pod = pod.await.unwrap();
    pod.irsa_token().impersonate("payments", "api").unwrap();
    let diagnosis = builder(pod.irsa_env()).diagnose().await;
    let denial = &diagnosis.findings()[0];
    assert_eq!(denial.id, FindingId::TrustPolicy);
    let statement: serde_json::Value = serde_json::from_str(denial.policy.as_deref().unwrap()).unwrap();
    let provider = "oidc.eks.cn-north-1.amazonaws.com/id/LOCAL";
    let expected = serde_json::json!({
        "Effect": "Allow",
        "Principal": { "Federated": format!("arn:aws-cn:iam::111122223333:oidc-provider/{provider}") },
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": { "StringEquals": {
            format!("{provider}:aud"): "sts.amazonaws.com",
            format!("{provider}:sub"): "system:serviceaccount:payments:api",
        } },
    });
    assert_eq!(statement, expected);
}

/// No content of a token or an environment may cause a panic or a hang, or get into a command that is meant to be
/// pasted.
#[tokio::test]
async fn hostile_input_ends_in_findings() {
    support::trace();
    support::watch_panics();
    let pod = LocalPod::start().await.unwrap();
    for (namespace, name) in
        [("x; rm -rf /", "$(reboot)"), ("\u{1b}[31m", "\u{0}"), ("", ""), (":", ":::"), ("é", "'\"")]
    {
        pod.agent_token().impersonate(namespace, name).unwrap();
        let diagnosis = builder(pod.pod_identity_env()).diagnose().await;
        for snippet in diagnosis.findings().iter().flat_map(|finding| &finding.commands) {
            assert!(!snippet.contains([';', '$', '\'', '"', '\u{1b}']), "{snippet}");
        }
        assert!(!diagnosis.to_string().contains('\u{1b}'), "{diagnosis}");
        assert_eq!(diagnosis.severity(), Severity::Error);
    }
    for value in ["\u{1b}[31m", "http://me:hunter2@example.com", "=", "://", "[", "%", "a-b-c", "http://[::1"] {
        for (name, _) in pod.both_env() {
            let diagnosis = builder(with(pod.both_env(), &name, value)).diagnose().await;
            let text = format!("{diagnosis}{diagnosis:?}");
            let shows_password = text.contains("hunter2") && ["URI", "URL"].iter().any(|part| name.contains(part));
            assert!(!shows_password && !diagnosis.to_string().contains('\u{1b}'), "{name}: {text}");
            assert_eq!(leaked(&text), None);
        }
    }
    pod.sts().take_unexpected();
    pod.agent().take_unexpected();
}

#[tokio::test]
async fn display_is_coloured_only_on_request() {
    let diagnosis = EksCredentialsProvider::builder().env([("AWS_ROLE_ARN", "a")]).diagnose().await;
    assert!(diagnosis.colored(true).to_string().contains("\u{1b}[1;31mERROR"));
    assert_eq!(diagnosis.colored(false).to_string(), diagnosis.to_string());
    let json = serde_json::json!(diagnosis);
    assert_eq!((&json["severity"], &json["schema_version"]), (&"error".into(), &1.into()));
    let finding = &json["findings"][0];
    assert_eq!((&finding["id"], &finding["severity"]), (&"IRSA-HALF".into(), &"error".into()));
    assert_eq!(finding["title"], FindingId::IrsaHalf.title());
    for (field, is) in [("commands", "[]"), ("consequences", "[]"), ("policy", "null"), ("cause", "null")] {
        assert_eq!(finding[field].to_string(), is, "{field}");
    }
}
