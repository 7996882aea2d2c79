//! A complete answer, and what of it may be shown.

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

/// Real answers have 1–3 KB.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// How much of an unexpected answer an error message quotes.
const MAX_QUOTE: usize = 300;

/// A complete answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The server's time, to the second.
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
        return Err(bad(peer, status, Body::NotRead, What::Redirect));
    }
    let date = answer.headers().get(DATE).and_then(|value| clock::parse_http_date(value.to_str().ok()?));
    let mut stream = answer.into_body();
    // It never grows: that would leave a copy behind.
    let mut body = Zeroizing::new(Vec::with_capacity(MAX_BODY));
    while let Some(frame) = stream.frame().await {
        let frame = frame.map_err(|error| Failure::new(Phase::Exchange, error).explain(peer))?;
        // Trailers carry nothing that is needed here.
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
    /// A success in which `wrong` is wrong.
    pub(crate) fn invalid(&self, peer: &Peer, wrong: &str) -> Error {
        bad(peer, self.status, Body::of(&self.body), What::Invalid(wrong.to_owned()))
    }

    /// An answer that is not in the form of the server that was asked.
    pub(crate) fn foreign(&self, peer: &Peer) -> Error {
        bad(peer, self.status, Body::of(&self.body), What::Foreign)
    }

    /// The body, whatever it is. It may quote the token.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(String::from_utf8_lossy(&self.body).into_owned())
    }
}

/// The beginning of what a server said in its own form. If it repeats a part of `secret`, which was sent to it, nothing of it
/// is shown: the part may have any form.
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
