//! Any content of a token file is a token that can be sent unchanged, or leads to an error that shows none of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{SMALL, answers, assert_explains};
use crate::error::problem::Problem;
use crate::error::problem::sts::{Request, StsRefusal};
use crate::error::{Error, ErrorKind};
use crate::source::web_identity::SessionName;
use crate::token_file::Token;

/// Uses the input as a token file, as the payload of a JWT, and as a session name.
pub fn claims(input: &[u8]) {
    let parsed = Token::parse(Zeroizing::new(input.to_vec()), "the input");
    match parsed {
        Ok(ref token) => assert_sendable(token),
        Err(bad) => {
            let error = Error::from(bad);
            assert_eq!(error.kind(), ErrorKind::TokenFile);
            assert_explains(&error, 0);
            assert!(error.to_string().len() < 180, "the error is too long, it may show the token: {error}");
        }
    }
    // What a token is, stated independently: printable ASCII, one word or a scheme and one word, at most 64 KiB.
    let text = std::str::from_utf8(input).map(str::trim).unwrap_or_default();
    let words: Vec<_> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let is_one = match words.as_slice() {
        [_] => true,
        [scheme, _] => scheme.len() <= 20 && scheme.chars().all(|c| c.is_ascii_alphabetic()),
        _ => false,
    };
    let is_token = is_one && text.bytes().all(|b| (b' '..=b'~').contains(&b)) && input.len() <= 65_536;
    let parsed = Token::parse(Zeroizing::new(input.to_vec()), "the input").ok();
    assert_eq!(parsed.as_ref().map(Token::expose), is_token.then_some(text));

    let jwt = format!("e30.{}.x", URL_SAFE_NO_PAD.encode(input));
    if let Ok(jwt) = Token::parse(Zeroizing::new(jwt.into_bytes()), "a JWT") {
        assert_sendable(&jwt);
        assert_claims(input, &jwt);
    }
    assert_session_name(&String::from_utf8_lossy(input));
}

/// The header and the form contain exactly the token, and nothing else shows it.
fn assert_sendable(token: &Token) {
    let header = token.header().unwrap();
    assert_eq!(header.as_bytes(), token.expose().as_bytes());
    assert!(header.is_sensitive());
    assert_eq!(format!("{token:?}"), "Token(** redacted **)");
    let form = answers::web_identity(None).form(token);
    assert_eq!(field(&form, "WebIdentityToken"), token.expose());
    let name = field(&form, "RoleSessionName");
    assert_session_name_is_legal(&name);
    assert!(SessionName::parse("x", &name).is_ok());
    assert_explains(&denial(token), 900);
}

/// The error when STS refuses this token.
fn denial(token: &Token) -> Error {
    let request = Request::Assume { role_arn: "arn".to_owned(), claims: token.claims() };
    let refusal = Box::new(StsRefusal::new(403, "AccessDenied", "no", request, str::to_owned));
    Problem::Sts { peer: answers::web_identity(None).peer().clone(), refusal }.into()
}

/// An error shows the same claims that a generic parser finds.
fn assert_claims(payload: &[u8], token: &Token) {
    let said = denial(token).problem().observed();
    if payload.len() > SMALL {
        return;
    }
    let Ok(Value::Object(claims)) = serde_json::from_slice(payload) else { return };
    if token.claims().is_some() {
        for name in ["iss", "sub"] {
            let shown = claims.get(name).map_or(Some("none"), Value::as_str);
            let shown: String = shown.unwrap_or("none").chars().take(300).collect();
            assert!(said.contains(&format!("{name}={shown} ")), "{name} is {shown} and not in {said}");
        }
    }
    // Claims of the right types, each present only once, must be readable.
    let text = |name: &str| claims.get(name).is_none_or(Value::is_string);
    let list = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    let aud = claims.get("aud").is_none_or(|aud| aud.is_string() || list(aud));
    let exp = claims.get("exp").is_none_or(Value::is_u64);
    if text("iss") && text("sub") && aud && exp && !claims.contains_key("kubernetes.io") {
        let once = URL_SAFE_NO_PAD.encode(Value::Object(claims).to_string());
        let once = Token::parse(format!("e30.{once}.x").into_bytes().into(), "a JWT");
        // The JSON that was written again may be longer than the input, and exceed the limit.
        assert!(
            once.is_err() || once.is_ok_and(|token| token.claims().is_some()),
            "the claims are valid, but were not read"
        );
    }
}

/// A derived session name is always valid for STS. A configured name is sent unchanged, or refused.
fn assert_session_name(name: &str) {
    let clean = SessionName::of_pod(name);
    assert_session_name_is_legal(clean.as_str());
    assert_eq!(SessionName::of_pod(clean.as_str()), clean);
    let chosen = match SessionName::parse("the setting", name) {
        Ok(chosen) => chosen,
        Err(problem) => {
            assert_explains(&problem.into(), name.chars().count());
            return;
        }
    };
    let token = Token::parse(b"e30.e30.x".to_vec().into(), "a JWT").unwrap();
    let form = answers::web_identity(Some(chosen)).form(&token);
    assert_eq!(field(&form, "RoleSessionName"), name);
}

/// The session name matches `[\w+=,.@-]{2,64}`, where `\w` is limited to ASCII.
fn assert_session_name_is_legal(name: &str) {
    let legal =
        |b: u8| matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'+' | b'=' | b',' | b'.' | b'@' | b'-');
    assert!((2..=64).contains(&name.len()) && name.bytes().all(legal), "{name}");
}

fn field(form: &str, name: &str) -> String {
    let mut fields = form_urlencoded::parse(form.as_bytes()).filter(|(n, _)| n == name);
    let (_, value) = fields.next().unwrap_or_else(|| panic!("{name} is not sent"));
    assert!(fields.next().is_none(), "{name} is sent twice");
    value.into_owned()
}
