//! The JSON of the public types, with the feature `serde`.
#![cfg(all(feature = "irsa", feature = "pod-identity", feature = "serde"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::time::{Duration, UNIX_EPOCH};

use eks_credentials::migration::Preference;
use eks_credentials::testing::{Answer, LocalPod};
use eks_credentials::{EksCredentialsProvider, Error, ErrorKind, Health, SourceKind, Status};
use serde_json::json;
use support::{provider, without};

/// `Status` is `#[non_exhaustive]`, so a test takes one from a provider and sets its fields.
async fn status_of_a_ready_provider() -> Status {
    let pod = LocalPod::start().await.unwrap();
    let provider = provider(pod.irsa_env());
    provider.warm_up().await.unwrap();
    let at = |seconds: u64| Some(UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 700));
    let mut status = provider.status();
    (status.expiry, status.fetched_at, status.next_fetch) = (at(1_795_496_376), at(1_795_492_776), at(1_795_495_000));
    status
}

#[tokio::test]
async fn status_is_serialized_with_times_in_rfc_3339() {
    support::trace();
    let status = status_of_a_ready_provider().await;
    let expected = json!({
        "health": "ready",
        "source": "irsa",
        "assumed_role": null,
        "expiry": "2026-11-24T04:59:36Z",
        "fetched_at": "2026-11-24T03:59:36Z",
        "next_fetch": "2026-11-24T04:36:40Z",
        "last_error": null,
        "consecutive_failures": 0,
        "refreshes": 1,
        "clock_skew_seconds": null,
    });
    assert_eq!(serde_json::to_value(&status).unwrap(), expected);
}

#[tokio::test]
async fn status_is_serialized_with_the_last_error() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    pod.sts().always(Answer::refuse("AccessDenied"));
    let provider = provider(pod.irsa_env());
    let error = provider.credentials().await.unwrap_err();
    let mut status = provider.status();
    (status.next_fetch, status.clock_skew_seconds) = (None, Some(-45));
    status.assumed_role = Some("arn:aws:iam::444455556666:role/reports".to_owned());
    let expected = json!({
        "health": "failed",
        "source": "irsa",
        "assumed_role": "arn:aws:iam::444455556666:role/reports",
        "expiry": null,
        "fetched_at": null,
        "next_fetch": null,
        "last_error": { "message": error.to_string(), "kind": "denied", "code": "AccessDenied" },
        "consecutive_failures": 1,
        "refreshes": 0,
        "clock_skew_seconds": -45,
    });
    assert_eq!(serde_json::to_value(&status).unwrap(), expected);
}

#[tokio::test]
async fn detection_is_serialized_with_its_accessors_as_fields() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let builder = EksCredentialsProvider::builder().prefer(SourceKind::PodIdentity).fallback(true);
    let provider = builder.env(pod.both_env()).build().unwrap();
    let expected = json!({
        "source": "pod-identity",
        "settings": ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"],
        "preference": { "decided_by": "builder", "first": "pod-identity" },
        "other": "irsa",
        "other_problem": null,
        "fallback": true,
    });
    assert_eq!(serde_json::to_value(provider.detection().unwrap()).unwrap(), expected);
}

#[tokio::test]
async fn detection_is_serialized_with_the_problem_of_the_other_source() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let provider = provider(without(pod.both_env(), "AWS_WEB_IDENTITY_TOKEN_FILE"));
    let detection = provider.detection().unwrap();
    let problem: &Error = detection.other_problem().unwrap();
    let json = serde_json::to_value(detection).unwrap();
    assert_eq!((&json["source"], &json["other"]), (&json!("pod-identity"), &json!(null)));
    let expected = json!({ "message": problem.to_string(), "kind": "invalid-configuration", "code": null });
    assert_eq!(json["other_problem"], expected);
}

#[test]
fn names_are_serialized_as_programs_write_them() {
    let text = |value: serde_json::Result<serde_json::Value>| value.unwrap();
    for (health, name) in [
        (Health::Starting, "starting"),
        (Health::Ready, "ready"),
        (Health::Degraded, "degraded"),
        (Health::Expired, "expired"),
        (Health::Failed, "failed"),
    ] {
        assert_eq!(text(serde_json::to_value(health)), name);
    }
    for source in [SourceKind::WebIdentity, SourceKind::PodIdentity] {
        assert_eq!(text(serde_json::to_value(source)), source.as_str());
    }
    assert_eq!(text(serde_json::to_value(ErrorKind::TokenFile)), ErrorKind::TokenFile.as_str());
    for (preference, decided_by, first) in [
        (Preference::SdkOrder, "sdk-order", "irsa"),
        (Preference::Builder(SourceKind::WebIdentity), "builder", "irsa"),
        (Preference::Environment(SourceKind::PodIdentity), "environment", "pod-identity"),
    ] {
        assert_eq!(text(serde_json::to_value(preference)), json!({ "decided_by": decided_by, "first": first }));
    }
}

#[cfg(feature = "diagnose")]
#[tokio::test]
async fn diagnosis_is_serialized_with_a_schema_version() {
    support::trace();
    let diagnosis = EksCredentialsProvider::builder().env([("PATH", "/bin")]).diagnose().await;
    let [finding] = diagnosis.findings() else { panic!("{diagnosis}") };
    let expected = json!({
        "schema_version": 1,
        "severity": "error",
        "source": null,
        "findings": [{
            "id": "ENV-NONE",
            "title": finding.title,
            "severity": "error",
            "observed": finding.observed,
            "cause": null,
            "expected": finding.expected,
            "remedy": finding.remedy,
            "commands": finding.commands,
            "policy": null,
            "consequences": [],
        }],
    });
    assert_eq!(serde_json::to_value(&diagnosis).unwrap(), expected);
}
