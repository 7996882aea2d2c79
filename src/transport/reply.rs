//! A complete response, and the parts of it that errors may show.

mod echo;

use std::time::SystemTime;

use http::header::DATE;
use http_body_util::BodyExt;
use zeroize::Zeroizing;

use super::BoxError;
use super::failure::Failure;
use crate::clock;
use crate::error::Error;
use crate::error::problem::Problem;
use crate::error::problem::answer::{BadAnswer, Body, What};
use crate::error::problem::network::Phase;
use crate::error::problem::peer::Peer;

/// Real responses have 1–3 KB.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// How many characters of a server's message an error quotes.
const MAX_QUOTE: usize = 300;

/// A complete response.
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The header `Date`, which has a resolution of one second.
    pub(crate) date: Option<SystemTime>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Reads the complete response. A redirect or a body over the limit is an error.
pub(crate) async fn read<B>(answer: http::Response<B>, peer: &Peer) -> Result<Reply, Error>
where
    B: BodyExt<Data: AsRef<[u8]>, Error: Into<BoxError>> + Unpin,
{
    let status = answer.status().as_u16();
    if answer.status().is_redirection() {
        return Err(bad(peer, status, Body::NotRead, What::Redirect));
    }
    let date = answer.headers().get(DATE).and_then(|value| clock::parse_http_date(value.to_str().ok()?));
    let mut stream = answer.into_body();
    // The buffer must not be reallocated, because that would leave a copy of secrets in memory.
    let mut body = Zeroizing::new(Vec::with_capacity(MAX_BODY));
    while let Some(frame) = stream.frame().await {
        let frame = frame.map_err(|error| Failure::new(Phase::Exchange, error).explain(peer))?;
        // Trailers are not used.
        let Some(chunk) = frame.data_ref().map(AsRef::as_ref) else { continue };
        if body.len().saturating_add(chunk.len()) > MAX_BODY {
            return Err(bad(peer, status, Body::NotRead, What::TooLarge));
        }
        body.extend_from_slice(chunk);
    }
    Ok(Reply { status, date, body })
}

fn bad(peer: &Peer, status: u16, body: Body, what: What) -> Error {
    Problem::BadAnswer(Box::new(BadAnswer { peer: peer.clone(), status, body, what })).into()
}

impl Reply {
    /// The error for a response with status 200 that is not valid. `wrong` describes the invalid part and continues the sentence
    /// "… answered 200 with".
    pub(crate) fn invalid(&self, peer: &Peer, wrong: &str) -> Error {
        bad(peer, self.status, Body::of(&self.body), What::Invalid(wrong.to_owned()))
    }

    /// The error for a response that does not have the format of the expected server.
    pub(crate) fn foreign(&self, peer: &Peer) -> Error {
        bad(peer, self.status, Body::of(&self.body), What::Foreign)
    }

    /// The body as text. It may contain the token.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(String::from_utf8_lossy(&self.body).into_owned())
    }
}

/// Quotes the beginning of a server's message. `secret` is the secret of the request. If the message repeats a part of it, in any
/// form, nothing of the message is shown.
pub(crate) fn quote(said: &str, secret: &str) -> String {
    let said = said.trim();
    let lower = Zeroizing::new(said.to_ascii_lowercase());
    if ["secretaccesskey", "sessiontoken"].iter().any(|name| lower.contains(name)) {
        return "[not shown: a body with credentials]".to_owned();
    }
    if echo::is_in(said, secret) {
        return "[not shown: it repeats a part of the token]".to_owned();
    }
    match said.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}…", said.get(..end).unwrap_or_default()),
        None if said.is_empty() => "no message".to_owned(),
        None => said.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::Full;

    use super::*;
    use crate::error::problem::peer::Server;

    #[tokio::test]
    async fn reply_buffer_never_grows() {
        let peer = Peer::new(Server::Sts, String::new(), None);
        for length in [0, 100, MAX_BODY] {
            let answer = http::Response::new(Full::new(Bytes::from(vec![b'x'; length])));
            let Ok(reply) = read(answer, &peer).await else { panic!("{length} bytes are refused") };
            assert_eq!((reply.body.len(), reply.body.capacity()), (length, MAX_BODY));
        }
    }
}
