//! A bearer token, and the checks of its content.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::HeaderValue;
use zeroize::Zeroizing;

use crate::claims::Claims;
use crate::error::Error;
use crate::error::problem::token::{BadToken, What};
use crate::transport;

/// A projected token has about 1.1 KB, and STS accepts 20,000 characters. A larger file is not a token file.
pub(super) const MAX_SIZE: u64 = 64 * 1024;

/// A bearer token. Its memory is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(Zeroizing<String>);

impl Token {
    /// Removes whitespace at both ends, which editors and shells add, and refuses text that cannot be a token. `origin` is the
    /// file or variable that contains the token.
    pub(crate) fn parse(bytes: Zeroizing<Vec<u8>>, origin: &str) -> Result<Self, BadToken> {
        let bad = |what| Err(BadToken { origin: origin.to_owned(), what });
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_SIZE {
            return bad(What::TooLarge);
        }
        let Ok(text) = std::str::from_utf8(&bytes) else { return bad(What::NotText) };
        let text = text.trim();
        if text.is_empty() {
            return bad(What::Empty);
        }
        if text.chars().any(|c| c.is_control() || !c.is_ascii()) {
            return bad(What::BadCharacter);
        }
        if !is_one_token(text) {
            return bad(What::SeveralWords);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The token, for a request body, and for finding the token in a server's message. It must not be used for anything else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The token as a header value, which is wiped and not logged.
    pub(crate) fn header(&self) -> Result<HeaderValue, Error> {
        let bad = |_| BadToken { origin: "the header Authorization".to_owned(), what: What::BadCharacter };
        Ok(transport::secret_header(self.0.clone()).map_err(bad)?)
    }

    /// The claims of the token. `None` if it is not a JWT.
    pub(crate) fn claims(&self) -> Option<Claims> {
        let payload = self.0.split('.').nth(1)?;
        let json = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?);
        Claims::parse(&json)
    }
}

/// Accepts one word, or two words if the first one is an authentication scheme, as in `Basic …`. Container credentials servers
/// other than the EKS agent receive the content of the file or variable as their `Authorization` header.
fn is_one_token(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    match words.count() {
        0 => true,
        1 => first.len() <= 20 && first.bytes().all(|b| b.is_ascii_alphabetic()),
        _ => false,
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(** redacted **)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::MAX_SHOWN;
    use crate::error::ErrorKind;

    #[test]
    fn token_is_one_line_of_ascii_up_to_64_kib() {
        let parse = |bytes: &[u8]| Token::parse(Zeroizing::new(bytes.to_vec()), "a test");
        assert!(parse(&[b'x'; 64 * 1024]).is_ok());
        for refused in [
            &[b'x'; 64 * 1024 + 1][..],
            "h\u{e9}ader".as_bytes(),
            b"header\x01payload",
            b"header\npayload",
            b" \n",
            b"h.p.s 12:00 started",
            b"a b c",
            b"h.p.s x",
        ] {
            assert_eq!(Error::from(parse(refused).unwrap_err()).kind(), ErrorKind::TokenFile);
        }
    }

    #[test]
    fn token_claims_are_shown_up_to_the_length_limit() {
        let shown = |payload: &str| {
            let jwt = format!("header.{}.signature", URL_SAFE_NO_PAD.encode(payload));
            let token = Token::parse(Zeroizing::new(jwt.into_bytes()), "a test").unwrap();
            token.claims().map(|claims| claims.to_string())
        };
        let long = "x".repeat(MAX_SHOWN);
        for (payload, expected) in [
            (r#"{"aud":"one"}"#.to_owned(), "iss=none sub=none aud=one exp=none".to_owned()),
            (
                r#"{"aud":["one","two","three"],"exp":0}"#.to_owned(),
                "iss=none sub=none aud=one,two,three exp=1970-01-01T00:00:00Z".to_owned(),
            ),
            (r#"{"aud":[],"iss":"i","sub":"s"}"#.to_owned(), "iss=i sub=s aud= exp=none".to_owned()),
            (
                format!(r#"{{"aud":["{long}","two"],"iss":"{long}y"}}"#),
                format!("iss={long} sub=none aud={long} exp=none"),
            ),
        ] {
            assert_eq!(shown(&payload), Some(expected));
        }
        assert_eq!(shown(r#"{"aud":7}"#), None);
    }
}
