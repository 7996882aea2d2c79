//! STS over https: which certificates are trusted, and what is said of those that are not.
#![cfg(all(feature = "irsa", feature = "__tls"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::net::SocketAddr;

use eks_credentials::testing::LocalPod;
use eks_credentials::{Error, ErrorKind};
use rcgen::date_time_ymd;
use support::ca::{Ca, named};
use support::{builder, whole, with};
use tempfile::NamedTempFile;

async fn ask(pod: &LocalPod, sts: SocketAddr, bundle: Option<&NamedTempFile>) -> Result<(), Error> {
    let mut env = with(pod.irsa_env(), "AWS_ENDPOINT_URL_STS", &format!("https://localhost:{}", sts.port()));
    if let Some(bundle) = bundle {
        env = with(env, "AWS_CA_BUNDLE", bundle.path().to_str().unwrap());
    }
    builder(env).startup_timeout(support::millis(500)).build().unwrap().warm_up().await
}

#[tokio::test]
async fn the_bundle_decides_whom_to_trust() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let ca = Ca::new();
    let sts = ca.in_front_of(pod.sts().address(), named("localhost")).await;
    ask(&pod, sts, Some(&ca.bundle())).await.unwrap();
    assert_eq!(pod.sts().requests(), 1);

    let error = ask(&pod, sts, Some(&Ca::new().bundle())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", whole(&error));
    for part in ["unknown issuer", "UnknownIssuer", "AWS_CA_BUNDLE=", "add its CA certificate to"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(pod.sts().requests(), 1);
}

/// Of a CA that is trusted: another bundle would help none of them, so the error must not send anybody there.
#[tokio::test]
async fn a_certificate_out_of_its_time_or_for_another_name_is_refused_as_such() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let ca = Ca::new();
    let (mut expired, mut early) = (named("localhost"), named("localhost"));
    (expired.not_before, expired.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    (early.not_before, early.not_after) = (date_time_ymd(2998, 1, 1), date_time_ymd(2999, 1, 1));
    let mut authority = named("localhost");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    for (certificate, what, detail, remedy) in [
        (authority, "presents a CA certificate as its own certificate", "CaUsedAsEndEntity", "CA:FALSE"),
        (expired, "has a certificate that has expired", "seconds ago", "renewed"),
        (early, "has a certificate that is not valid yet", "in future", "clock"),
        (named("sts.example.com"), "has a certificate for another name", "sts.example.com", "endpoint's URL"),
    ] {
        let sts = ca.in_front_of(pod.sts().address(), certificate).await;
        let error = ask(&pod, sts, Some(&ca.bundle())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", whole(&error));
        for part in ["STS at https://localhost", what, detail, remedy] {
            assert!(error.to_string().contains(part), "{error}\nlacks {part}");
        }
        assert!(!error.to_string().contains("set AWS_CA_BUNDLE") && !error.to_string().contains("add its"), "{error}");
    }
    assert_eq!(pod.sts().requests(), 0);
}

/// The system's roots, or those in the binary: neither knows a private CA.
#[tokio::test]
async fn without_a_bundle_a_private_ca_is_not_trusted() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let sts = Ca::new().in_front_of(pod.sts().address(), named("localhost")).await;
    let error = ask(&pod, sts, None).await.unwrap_err();
    // A machine without a root store says that instead.
    let (untrusted, no_roots) =
        (error.to_string().contains("set AWS_CA_BUNDLE"), error.to_string().contains("no usable root"));
    assert!(untrusted || no_roots, "{}", whole(&error));
}
