//! STS over https: which certificates are trusted, and what is said of those that are not.
#![cfg(all(feature = "irsa", any(feature = "rustls-aws-lc", feature = "rustls-ring")))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use eks_credentials::testing::LocalPod;
use eks_credentials::{Error, ErrorKind};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use support::{builder, whole, with};
use tempfile::NamedTempFile;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        // Told apart by name too, as real ones are.
        params.distinguished_name.push(DnType::CommonName, format!("CA {}", fastrand::u64(..)));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn bundle(&self) -> NamedTempFile {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), self.0.pem()).unwrap();
        file
    }

    /// TLS in front of `upstream`, with a certificate for `name`.
    async fn in_front_of(&self, upstream: SocketAddr, name: &str) -> SocketAddr {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // One that does not trust the certificate breaks off here.
                let Ok(mut tls) = acceptor.accept(stream).await else { continue };
                let mut upstream = TcpStream::connect(upstream).await.unwrap();
                let _ = copy_bidirectional(&mut tls, &mut upstream).await;
            }
        });
        address
    }
}

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
    let sts = ca.in_front_of(pod.sts().address(), "localhost").await;
    ask(&pod, sts, Some(&ca.bundle())).await.unwrap();
    assert_eq!(pod.sts().requests(), 1);

    let error = ask(&pod, sts, Some(&Ca::new().bundle())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", whole(&error));
    for part in ["was not trusted", "UnknownIssuer", "AWS_CA_BUNDLE"] {
        assert!(error.to_string().contains(part), "{error}");
    }

    let wrong_name = ca.in_front_of(pod.sts().address(), "sts.example.com").await;
    let error = ask(&pod, wrong_name, Some(&ca.bundle())).await.unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
    assert_eq!(pod.sts().requests(), 1);
}

/// The system's roots, or those in the binary: neither knows a private CA.
#[tokio::test]
async fn without_a_bundle_a_private_ca_is_not_trusted() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let sts = Ca::new().in_front_of(pod.sts().address(), "localhost").await;
    let error = ask(&pod, sts, None).await.unwrap_err();
    // A machine without a root store says that instead.
    let (untrusted, no_roots) =
        (error.to_string().contains("was not trusted"), error.to_string().contains("no usable root"));
    assert!(untrusted || no_roots, "{}", whole(&error));
}
