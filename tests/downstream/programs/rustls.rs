//! `rustls::ClientConfig::builder()`, and a request to the `host:port` that is given. `--install`
//! installs the process default first, as the documentation advises for two providers in one program.

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
    // What this crate fetches by TLS leaves the process default as it was.
    assert_eq!(CryptoProvider::get_default().is_some(), installed);

    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(std::env::var("SSL_CERT_FILE").unwrap()).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(&args[0]).unwrap());
    stream.write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    // The connection stays open: reading to its end would wait.
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
