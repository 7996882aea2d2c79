//! A stand-in for RDS for PostgreSQL: it asks for the password in clear text, as RDS does for IAM authentication, and verifies it
//! as an IAM token. It answers every query with an empty result. A real server requires TLS.
//!
//! Protocol: <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use std::io::Result;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::Verifier;

const ASK_FOR_PASSWORD: &[u8] = &[b'R', 0, 0, 0, 8, 0, 0, 0, 3];
const ACCEPTED: &[u8] = &[b'R', 0, 0, 0, 8, 0, 0, 0, 0];
const READY: &[u8] = &[b'Z', 0, 0, 0, 5, b'I'];
const NO_ROWS: &[u8] = b"C\0\0\0\x0dSELECT 0\0";

/// Listens on a free port of loopback. Every connection is served until the client closes it.
pub async fn listen() -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

pub fn serve(listener: TcpListener, verifier: Verifier) {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let verifier = verifier.clone();
            tokio::spawn(async move { connection(stream, &verifier).await });
        }
    });
}

async fn connection(mut stream: TcpStream, verifier: &Verifier) -> Result<()> {
    // The first message has no type.
    read_body(&mut stream).await?;
    stream.write_all(ASK_FOR_PASSWORD).await?;
    let (kind, body) = read_message(&mut stream).await?;
    let password = String::from_utf8_lossy(&body);
    let verified = match kind {
        b'p' => verifier.verify(password.trim_end_matches('\0')),
        other => Err(format!("a message {:?} instead of the password", char::from(other))),
    };
    if let Err(why) = verified {
        return stream.write_all(&refusal(&why)).await;
    }
    stream.write_all(&[ACCEPTED, READY].concat()).await?;
    loop {
        match read_message(&mut stream).await?.0 {
            b'Q' => stream.write_all(&[NO_ROWS, READY].concat()).await?,
            b'S' => stream.write_all(READY).await?,
            _ => return Ok(()),
        }
    }
}

async fn read_message(stream: &mut TcpStream) -> Result<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await?;
    Ok((kind, read_body(stream).await?))
}

async fn read_body(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let length = usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX).saturating_sub(4);
    let mut body = vec![0; length.min(1 << 16)];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// The error of RDS, with the reason, which a real server writes only to its log.
fn refusal(why: &str) -> Vec<u8> {
    let fields = format!("SFATAL\0VFATAL\0C28P01\0MPAM authentication failed: {why}\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap_or(u32::MAX);
    [b"E".as_slice(), &length.to_be_bytes(), fields.as_bytes()].concat()
}
