//! An exchange of the token, repeated at once if the token was rejected and kubelet has rotated it meanwhile.

use std::future::Future;

use crate::error::{Error, ErrorKind};
use crate::token_file::{Token, TokenSource};

/// One exchange, and a second one at once if the token was refused and kubelet has rotated it meanwhile.
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
        // Why the token was refused explains more than why it could not be read again.
        _ => Err(rejected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refused_token_is_sent_again_at_once_if_it_has_changed_and_only_then() {
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
    async fn a_token_that_cannot_be_read_again_leaves_the_reason_why_it_was_refused() {
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
