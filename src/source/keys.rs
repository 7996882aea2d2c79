//! Validates the keys in a successful response and converts them to credentials. Both sources and role chaining use this.

use aws_credential_types::Credentials;

use crate::clock;
use crate::error::Error;

/// The fields of a successful response.
pub(crate) struct Keys<'a> {
    pub(crate) access_key_id: &'a str,
    pub(crate) secret_access_key: &'a str,
    pub(crate) session_token: &'a str,
    /// An RFC 3339 date. `None`: the credentials never expire.
    pub(crate) expiration: Option<&'a str>,
    pub(crate) account_id: Option<&'a str>,
}

impl Keys<'_> {
    /// Checks the syntax of every field. An expiry in the past is accepted here: [`crate::refresh`] compares it with the clock.
    /// `provider_name` is the name that the SDK logs. `wrong` creates the error from a description of the invalid part.
    pub(crate) fn into_credentials(
        self,
        provider_name: &'static str,
        wrong: impl Fn(&str) -> Error,
    ) -> Result<Credentials, Error> {
        let required = [
            ("AccessKeyId", self.access_key_id),
            ("SecretAccessKey", self.secret_access_key),
            ("session token", self.session_token),
        ];
        if let Some((name, _)) = required.iter().find(|(_, value)| value.trim().is_empty()) {
            return Err(wrong(&format!("an empty {name}")));
        }
        let mut credentials = Credentials::builder()
            .access_key_id(self.access_key_id)
            .secret_access_key(self.secret_access_key)
            .session_token(self.session_token)
            .provider_name(provider_name);
        if let Some(expiration) = self.expiration {
            // The server may have sent a key in place of the date, and the error must not show it. Dates of all usual formats
            // have at most nine letters ("Tue", "Nov", "GMT"). A key has about thirty.
            let letters = expiration.chars().filter(|c| c.is_alphabetic()).count();
            let shown = || match letters {
                ..=9 => expiration.chars().take(40).collect(),
                _ => "[not shown]".to_owned(),
            };
            let expiry = clock::parse_rfc3339(expiration)
                .ok_or_else(|| wrong(&format!("the Expiration \"{}\", which is not an RFC 3339 date", shown())))?;
            credentials = credentials.expiry(expiry);
        }
        if let Some(account) = self.account_id.filter(|account| !account.is_empty()) {
            credentials = credentials.account_id(account);
        }
        Ok(credentials.build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// A date that cannot be parsed is shown. Text that may be a key is not.
    #[test]
    fn keys_show_an_invalid_expiration_unless_it_may_be_a_secret() {
        for (expiration, said) in [
            ("Tue, 24 Nov 2026 10:00:00 GMT", "the Expiration \"Tue, 24 Nov 2026 10:00:00 GMT\", which is not"),
            (
                "0123456789 0123456789 0123456789 0123456789",
                "the Expiration \"0123456789 0123456789 0123456789 0123456\",",
            ),
            ("tenletters", "the Expiration \"[not shown]\", which is not"),
        ] {
            let keys = Keys {
                access_key_id: "id",
                secret_access_key: "secret",
                session_token: "token",
                expiration: Some(expiration),
                account_id: None,
            };
            let wrong = |what: &str| Error::internal(ErrorKind::InvalidResponse, what);
            let error = keys.into_credentials("test", wrong).unwrap_err();
            assert!(error.to_string().starts_with(said), "{error}");
        }
    }
}
