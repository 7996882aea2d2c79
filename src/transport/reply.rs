//! A complete answer, and what of it may be shown.

#[cfg(feature = "diagnose")]
use std::time::SystemTime;

use http::header::CONTENT_TYPE;
#[cfg(feature = "diagnose")]
use http::header::DATE;
use http_body_util::BodyExt;
use zeroize::Zeroizing;

use super::failure::{Failure, IF_NOT_ITSELF, Phase};
use super::{BoxError, Peer};
#[cfg(feature = "diagnose")]
use crate::clock;
use crate::error::{Error, ErrorKind};

/// Real answers have 1–3 KB.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// How much of an unexpected answer an error message quotes.
const MAX_QUOTE: usize = 300;

/// A complete answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    /// The server's time, to the second.
    #[cfg(feature = "diagnose")]
    pub(crate) date: Option<SystemTime>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// The whole answer, unless it is a redirect or too large.
pub(crate) async fn read<B>(answer: http::Response<B>, peer: &Peer) -> Result<Reply, Error>
where
    B: BodyExt<Data: AsRef<[u8]>, Error: Into<BoxError>> + Unpin,
{
    let status = answer.status().as_u16();
    if answer.status().is_redirection() {
        let what = format!("answered {status}, a redirect, which is not followed because the token would go along");
        return Err(Error::new(ErrorKind::InvalidResponse, format!("{} {what}: {IF_NOT_ITSELF}", peer.name)));
    }
    let content_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or("no content type").to_owned();
    #[cfg(feature = "diagnose")]
    let date = answer.headers().get(DATE).and_then(|value| clock::parse_http_date(value.to_str().ok()?));
    let mut stream = answer.into_body();
    // It never grows: that would leave a copy behind.
    let mut body = Zeroizing::new(Vec::with_capacity(MAX_BODY));
    while let Some(frame) = stream.frame().await {
        let frame = frame.map_err(|error| Failure::new(Phase::Exchange, error).explain(peer))?;
        // Trailers carry nothing that is needed here.
        let Some(chunk) = frame.data_ref().map(AsRef::as_ref) else { continue };
        if body.len().saturating_add(chunk.len()) > MAX_BODY {
            let message = format!("{} answered with more than 64 KiB: {IF_NOT_ITSELF}", peer.name);
            return Err(Error::new(ErrorKind::InvalidResponse, message));
        }
        body.extend_from_slice(chunk);
    }
    Ok(Reply {
        status,
        content_type,
        #[cfg(feature = "diagnose")]
        date,
        body,
    })
}

impl Reply {
    /// A success in which `what` is wrong. The `secret` that was sent may come back in any place.
    pub(crate) fn invalid(&self, peer: &Peer, what: &str, secret: &str) -> Error {
        let what = if self.body.trim_ascii().is_empty() { "an empty body" } else { what };
        let content_type = quote(&self.content_type, secret);
        let message = format!("{} answered 200 ({content_type}) with {what}: {IF_NOT_ITSELF}", peer.name);
        Error::new(ErrorKind::InvalidResponse, message)
    }

    /// The body, whatever it is. It may quote the token.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(String::from_utf8_lossy(&self.body).into_owned())
    }

    /// The beginning of the body, for messages.
    pub(crate) fn quote(&self, secret: &str) -> String {
        quote(&self.text(), secret)
    }
}

/// The beginning of what a server said, without the `secret` that was sent to it and might come back.
pub(crate) fn quote(said: &str, secret: &str) -> String {
    let mut text = Zeroizing::new(said.trim().to_owned());
    // Keys in an answer that was not to have any: a success under another status.
    let lower = Zeroizing::new(text.to_ascii_lowercase());
    if ["secretaccesskey", "sessiontoken"].iter().any(|name| lower.contains(name)) {
        return "[a body with credentials]".to_owned();
    }
    // The whole first: what is replaced is not even copied.
    for part in [secret].into_iter().chain(secret.split('.')).filter(|part| part.len() >= 8) {
        text = Zeroizing::new(text.replace(part, "[redacted]"));
    }
    match text.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None if text.is_empty() => "an empty body".to_owned(),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::Full;

    use super::*;

    #[tokio::test]
    async fn reply_buffer_never_grows() {
        let peer = Peer { name: String::new(), if_unreachable: "", if_failing: "" };
        for length in [0, 100, MAX_BODY] {
            let answer = http::Response::new(Full::new(Bytes::from(vec![b'x'; length])));
            let Ok(reply) = read(answer, &peer).await else { panic!("{length} bytes are refused") };
            assert_eq!((reply.body.len(), reply.body.capacity()), (length, MAX_BODY));
        }
    }
}
