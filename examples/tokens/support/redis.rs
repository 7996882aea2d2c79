//! A stand-in for ElastiCache: it verifies the password of `AUTH` as an IAM token, and answers `PING`. A real server requires TLS.
//!
//! Protocol: <https://redis.io/docs/latest/develop/reference/protocol-spec/>

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::Verifier;

pub async fn serve(verifier: Verifier) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let verifier = verifier.clone();
            tokio::spawn(async move { connection(stream, &verifier).await });
        }
    });
    Ok(address)
}

async fn connection(stream: TcpStream, verifier: &Verifier) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let mut is_authenticated = false;
    loop {
        let command = read_command(&mut stream).await?;
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let reply = match words.as_slice() {
            ["AUTH", "app", token] => match verifier.verify(token) {
                Ok(()) => {
                    is_authenticated = true;
                    "+OK\r\n".to_owned()
                }
                Err(why) => format!("-WRONGPASS {why}\r\n"),
            },
            ["CLIENT", "SETINFO", ..] => "+OK\r\n".to_owned(),
            ["PING"] if is_authenticated => "+PONG\r\n".to_owned(),
            ["PING"] => "-NOAUTH Authentication required.\r\n".to_owned(),
            [name, ..] => format!("-ERR this stand-in does not know the command {name}\r\n"),
            [] => return Ok(()),
        };
        stream.get_mut().write_all(reply.as_bytes()).await?;
    }
}

/// Reads an array of strings.
async fn read_command(stream: &mut BufReader<TcpStream>) -> Result<Vec<String>> {
    let mut words = Vec::new();
    for _ in 0..read_length(stream, '*').await? {
        let length = read_length(stream, '$').await?;
        let mut word = vec![0; length.min(1 << 16) + 2];
        stream.read_exact(&mut word).await?;
        word.truncate(length);
        words.push(String::from_utf8(word).map_err(|error| Error::new(ErrorKind::InvalidData, error))?);
    }
    Ok(words)
}

async fn read_length(stream: &mut BufReader<TcpStream>, prefix: char) -> Result<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let length = line.trim_end().strip_prefix(prefix).and_then(|length| length.parse().ok());
    length.ok_or_else(|| Error::new(ErrorKind::InvalidData, "not an array of strings"))
}
