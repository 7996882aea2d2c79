//! Repeats a request if its token was rejected and kubelet has rotated the token in the meantime.

use std::future::Future;

use crate::error::{Error, ErrorKind};
use crate::token_file::{Token, TokenSource};

/// Sends one request with the current token. If the token is rejected and the file now has another token, it sends a second
/// request without a delay.
pub(crate) async fn with_token<F, T>(tokens: &TokenSource, exchange: impl Fn(Token) -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let token = tokens.token().await?;
    let rejected = match exchange(token.clone()).await {
        Err(error) if error.kind() == ErrorKind::TokenRejected => error,
        outcome => return outcome,
    };
    match tokens.token().await {
        Ok(rotated) if rotated != token => exchange(rotated).await,
        // The rejection explains more than the error of the second read.
        _ => Err(rejected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After a rejection, a second request is sent at once if the file has another token, and only then.
    #[tokio::test]
    async fn token_retry_sends_only_a_rotated_token() {
        use ErrorKind::{Denied, TokenRejected};
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path();
        for (kind, rotated, expected) in [
            (TokenRejected, "second.payload.signature", 2),
            (TokenRejected, "first.payload.signature", 1),
            (Denied, "second.payload.signature", 1),
        ] {
            std::fs::write(path, "first.payload.signature").unwrap();
            let sent = std::cell::RefCell::new(Vec::new());
            let refuse_and_rotate = |token: Token| {
                sent.borrow_mut().push(token);
                std::fs::write(path, rotated).unwrap();
                async { Err::<(), _>(Error::internal(kind, "no")) }
            };
            let error = with_token(&TokenSource::File(path.to_owned()), refuse_and_rotate).await.unwrap_err();
            assert_eq!((error.kind(), sent.borrow().len()), (kind, expected), "{rotated}");
            assert_eq!(sent.borrow().last().unwrap().expose() == rotated, kind == TokenRejected);
        }
    }

    #[tokio::test]
    async fn token_retry_keeps_the_rejection_if_the_file_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "header.payload.signature").unwrap();
        let refuse_and_remove = |_: Token| {
            std::fs::remove_file(&path).unwrap();
            async { Err::<(), _>(Error::internal(ErrorKind::TokenRejected, "expired")) }
        };
        let error = with_token(&TokenSource::File(path.clone()), refuse_and_remove).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::TokenRejected, "expired"));
    }
}
