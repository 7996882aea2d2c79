//! Sends a request to the `host:port` in the arguments, with `rustls::ClientConfig::builder()`.
//!
//! With `--install` it first installs the default provider of the process. The documentation of eks-credentials
//! recommends this for a program with two providers.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--install") {
        install();
    }
    let installed = CryptoProvider::get_default().is_some();
    #[cfg(feature = "used")]
    used::fetch();
    // Fetching credentials with TLS must not change the default provider of the process.
    assert_eq!(CryptoProvider::get_default().is_some(), installed);

    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(std::env::var("SSL_CERT_FILE").unwrap()).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(&args[0]).unwrap());
    stream.write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    // The connection stays open, so reading to its end would block.
    let mut response = Vec::new();
    while !response.ends_with(b"hello") {
        let mut chunk = [0; 1024];
        let size = stream.read(&mut chunk).unwrap();
        assert_ne!(size, 0, "the connection ended early");
        response.extend_from_slice(&chunk[..size]);
    }
    println!("{:?} {:?}", stream.conn.protocol_version(), stream.conn.negotiated_cipher_suite());
    println!("{:?}", String::from_utf8_lossy(&response).lines().next());
}

#[cfg(feature = "install-ring")]
fn install() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
}

#[cfg(not(feature = "install-ring"))]
fn install() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
}
