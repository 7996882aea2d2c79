//! STS over https: the trusted certificates, and the errors for others.
#![cfg(all(feature = "irsa", feature = "__tls"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eks_credentials::testing::LocalPod;
use eks_credentials::{Error, ErrorKind};
use rcgen::date_time_ymd;
use support::ca::{Ca, named};
use support::{builder, whole, with};
use tempfile::NamedTempFile;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

async fn warm_up(pod: &LocalPod, sts: SocketAddr, bundle: Option<&NamedTempFile>) -> Result<(), Error> {
    let mut env = with(pod.irsa_env(), "AWS_ENDPOINT_URL_STS", &format!("https://localhost:{}", sts.port()));
    if let Some(bundle) = bundle {
        env = with(env, "AWS_CA_BUNDLE", bundle.path().to_str().unwrap());
    }
    builder(env).startup_timeout(support::millis(500)).build().unwrap().warm_up().await
}

#[tokio::test]
async fn tls_trusts_only_the_certificates_of_the_bundle() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let ca = Ca::new();
    let sts = ca.in_front_of(pod.sts().address(), named("localhost")).await;
    warm_up(&pod, sts, Some(&ca.bundle())).await.unwrap();
    assert_eq!(pod.sts().requests(), 1);

    let error = warm_up(&pod, sts, Some(&Ca::new().bundle())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", whole(&error));
    for part in ["unknown issuer", "UnknownIssuer", "AWS_CA_BUNDLE=", "add its CA certificate to"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(pod.sts().requests(), 1);
}

/// The certificates are invalid, but their CA is trusted. Another bundle would not help, so the errors must not advise one.
#[tokio::test]
async fn tls_error_distinguishes_invalid_certificates() {
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
        (expired, "has a certificate that has expired", "seconds ago", "renew the certificate"),
        (early, "has a certificate that is not valid yet", "in future", "clock"),
        (named("sts.example.com"), "has a certificate for another host name", "sts.example.com", "endpoint's URL"),
    ] {
        let sts = ca.in_front_of(pod.sts().address(), certificate).await;
        let error = warm_up(&pod, sts, Some(&ca.bundle())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", whole(&error));
        for part in ["STS at https://localhost", what, detail, remedy] {
            assert!(error.to_string().contains(part), "{error}\nlacks {part}");
        }
        assert!(!error.to_string().contains("set AWS_CA_BUNDLE") && !error.to_string().contains("add its"), "{error}");
    }
    assert_eq!(pod.sts().requests(), 0);
}

/// A private CA is neither in the system's roots nor in the compiled-in ones.
#[tokio::test]
async fn tls_does_not_trust_a_private_ca_without_a_bundle() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let sts = Ca::new().in_front_of(pod.sts().address(), named("localhost")).await;
    let error = warm_up(&pod, sts, None).await.unwrap_err();
    // On a machine without a root store the error says this instead.
    let (untrusted, no_roots) =
        (error.to_string().contains("set AWS_CA_BUNDLE"), error.to_string().contains("no usable root"));
    assert!(untrusted || no_roots, "{}", whole(&error));
}

/// A TLS server in front of STS, with a delay before each handshake and a certificate that can change.
#[derive(Clone)]
struct Front {
    address: SocketAddr,
    acceptor: Arc<Mutex<TlsAcceptor>>,
}

impl Front {
    async fn start(upstream: SocketAddr, acceptor: TlsAcceptor, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = Self { address: listener.local_addr().unwrap(), acceptor: Arc::new(Mutex::new(acceptor)) };
        let acceptor = Arc::clone(&front.acceptor);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.lock().unwrap().clone();
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    let Ok(mut tls) = acceptor.accept(stream).await else { return };
                    let mut upstream = TcpStream::connect(upstream).await.unwrap();
                    let _ = copy_bidirectional(&mut tls, &mut upstream).await;
                });
            }
        });
        front
    }

    fn env(&self, pod: &LocalPod, bundle: &NamedTempFile) -> Vec<(String, String)> {
        let url = format!("https://localhost:{}", self.address.port());
        with(with(pod.irsa_env(), "AWS_ENDPOINT_URL_STS", &url), "AWS_CA_BUNDLE", bundle.path().to_str().unwrap())
    }
}

/// The CA bundle and the certificate of the server are rotated together. The next refresh succeeds at its first attempt.
#[tokio::test]
async fn tls_reads_a_rotated_bundle_again_at_once() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let (old, new) = (Ca::new(), Ca::new());
    let front = Front::start(pod.sts().address(), old.acceptor(named("localhost")), Duration::ZERO).await;
    let bundle = old.bundle();
    let provider = builder(front.env(&pod, &bundle)).build().unwrap();
    let first = provider.credentials().await.unwrap();

    *front.acceptor.lock().unwrap() = new.acceptor(named("localhost"));
    std::fs::copy(new.bundle().path(), bundle.path()).unwrap();
    provider.invalidate(&first);
    let second = provider.credentials().await.unwrap();
    assert_eq!((pod.sts().requests(), provider.status().consecutive_failures), (2, 0));

    // A certificate that the bundle does not trust remains an error, also if the bundle can no longer be read.
    *front.acceptor.lock().unwrap() = Ca::new().acceptor(named("localhost"));
    provider.invalidate(&second);
    let error = provider.credentials().await.unwrap_err();
    assert!(error.to_string().contains("unknown issuer"), "{error}");
    std::fs::write(bundle.path(), "not a certificate").unwrap();
    let error = provider.credentials().await.unwrap_err();
    assert!(error.to_string().contains("unknown issuer"), "{error}");
    assert_eq!(pod.sts().requests(), 2);
}

/// A slow network path works within the startup timeout, because the connect timeout is doubled. A configured connect timeout is
/// not changed.
#[tokio::test]
async fn tls_doubles_the_connect_timeout_unless_it_is_configured() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let (ca, delay) = (Ca::new(), Duration::from_secs(4));
    let front = Front::start(pod.sts().address(), ca.acceptor(named("localhost")), delay).await;
    let bundle = ca.bundle();
    let env = || front.env(&pod, &bundle);
    // The delay is longer than the default of 3.1 s. The second attempt has twice this limit.
    let by_default = builder(env()).build().unwrap();
    // With an attempt timeout of 30 s, the connect timeout is 9.3 s.
    let longer = builder(env()).attempt_timeout(Duration::from_secs(30)).build().unwrap();
    let configured = builder(env()).connect_timeout(Duration::from_secs(6)).build().unwrap();
    let too_short = builder(env()).connect_timeout(support::millis(200)).startup_timeout(support::millis(900));
    let too_short = too_short.build().unwrap();
    let began = tokio::time::Instant::now();
    let (a, b, c, d) = tokio::join!(by_default.warm_up(), longer.warm_up(), configured.warm_up(), too_short.warm_up());
    a.and(b).and(c).unwrap();
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    let error = d.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("200ms") || error.to_string().contains("0.2 s"), "{error}");
    assert_eq!(pod.sts().requests(), 3);
}

/// The clock of this machine is 65 minutes ahead of the clock of STS, and then 5 minutes behind.
#[tokio::test]
async fn tls_response_date_corrects_the_expiry_and_http_does_not() {
    support::trace();
    for ahead in [65 * 60, -5 * 60] {
        let pod = LocalPod::start().await.unwrap();
        pod.sts().set_clock_offset(-ahead);
        let ca = Ca::new();
        let front = Front::start(pod.sts().address(), ca.acceptor(named("localhost")), Duration::ZERO).await;
        let bundle = ca.bundle();
        let provider = builder(front.env(&pod, &bundle)).build().unwrap();
        let credentials = provider.credentials().await.unwrap();
        let now = aws_smithy_async::time::TimeSource::now(&aws_smithy_async::time::SystemTimeSource::new());
        let left = credentials.expiry().unwrap().duration_since(now).unwrap().as_secs();
        assert!((3590..=3602).contains(&left), "{left}");
        assert!((provider.status().clock_skew_seconds.unwrap() - ahead).abs() <= 2);

        let plain = builder(pod.irsa_env()).startup_timeout(support::millis(100)).build().unwrap();
        let outcome = plain.credentials().await;
        assert_eq!(plain.status().clock_skew_seconds, None);
        assert_eq!(outcome.is_err(), ahead > 0, "{outcome:?}");

        // A diagnosis corrects the same expiry as the provider.
        for (env, expired) in [(front.env(&pod, &bundle), false), (pod.irsa_env(), ahead > 0)] {
            let diagnosis = builder(env).diagnose().await.to_string();
            assert_eq!(diagnosis.contains("FETCH-EXPIRED"), expired, "{diagnosis}");
            assert_eq!(diagnosis.contains("FETCH-OK"), !expired, "{diagnosis}");
        }
    }
}
