//! Complete responses that do not follow the protocol.

use super::peer::{Peer, Server};
use super::table;
use crate::error::ErrorKind;

/// A response that is not in the format of the called server, or a success without usable credentials.
#[derive(Debug)]
pub(crate) struct BadAnswer {
    pub(crate) peer: Peer,
    pub(crate) status: u16,
    /// The type of the body, without its content.
    pub(crate) body: Body,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Redirect,
    TooLarge,
    /// The status is not 200, and the body is not a refusal in the server's format.
    Foreign,
    /// The status is 200, but the content is invalid. The text says what it is instead.
    Invalid(String),
}

/// The type of a body. A body is never quoted, because it may contain the token in any form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    NotRead,
    Empty,
    Html,
    Xml,
    Json,
    Text,
    Binary,
    Credentials,
}

impl Body {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let bytes = bytes.trim_ascii();
        let Ok(text) = std::str::from_utf8(bytes) else { return Self::Binary };
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let begins = |with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
        let has_keys = ["secretaccesskey", "sessiontoken"];
        let is_key = |window: &str| has_keys.iter().any(|name| window.to_ascii_lowercase().contains(name));
        match text {
            "" => Self::Empty,
            _ if is_key(text) => Self::Credentials,
            _ if begins("<!doctype html") || begins("<html") => Self::Html,
            _ if begins("<") => Self::Xml,
            _ if begins("{") || begins("[") => Self::Json,
            _ if text.contains(|c: char| c.is_control() && !c.is_ascii_whitespace()) => Self::Binary,
            _ => Self::Text,
        }
    }

    fn shown(self) -> &'static str {
        match self {
            Self::NotRead => "a body that was not read",
            Self::Empty => "an empty body",
            Self::Html => "an HTML page",
            Self::Xml => "an XML or HTML document",
            Self::Json => "a JSON document",
            Self::Text => "text",
            Self::Binary => "bytes that are not text",
            Self::Credentials => "a body with credentials",
        }
    }
}

impl BadAnswer {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self.what {
            What::Foreign => table::kind_of_status(self.status),
            _ => ErrorKind::InvalidResponse,
        }
    }

    pub(crate) fn observed(&self) -> String {
        let Self { peer, status, body, what } = self;
        let (name, server) = (peer.name(), peer.server.name());
        match what {
            What::Redirect => format!(
                "{name} returned status {status}, a redirect, which is not followed because the request contains the \
                 token; the response is not from {server}: a proxy or another server sent it"
            ),
            What::TooLarge => format!(
                "{name} returned status {status} with more than 64 KiB; the response is not from {server}: a proxy or \
                 another server sent it"
            ),
            What::Foreign if self.may_be_path() => format!(
                "{name} returned status {status} with {}: either the path of the URI is wrong, or the response is not \
                 from {server} but from a proxy or another server",
                body.shown()
            ),
            What::Foreign => format!(
                "{name} returned status {status} with {}; the response is not from {server}: a proxy or another server \
                 sent it",
                body.shown()
            ),
            What::Invalid(wrong) => {
                let wrong = if *body == Body::Empty { body.shown() } else { wrong.as_str() };
                format!("{name} returned status {status} with {wrong}")
            }
        }
    }

    /// Whether the path of the URI may be wrong. The EKS agent's path is known, and a wrong path is reported
    /// separately.
    pub(crate) fn may_be_path(&self) -> bool {
        self.peer.server == Server::Container && matches!(self.what, What::Foreign) && self.status == 404
    }

    pub(crate) fn remedy(&self) -> String {
        let Self { peer, .. } = self;
        let check = match (&peer.proxy, peer.server) {
            (Some(proxy), _) => format!("check the proxy {} (from {})", proxy.address, proxy.variable),
            (None, Server::Sts) => match peer.setting {
                Some(setting) => format!("check {setting} and which server responds at that address"),
                None => "check which server responds at that address: a service mesh, a transparent proxy, a private \
                         DNS zone or a VPC endpoint may redirect the requests"
                    .to_owned(),
            },
            (None, Server::EksAgent) => {
                "check which server responds at that address: a service mesh or another metadata agent must not \
                 intercept the requests"
                    .to_owned()
            }
            (None, Server::Container) => {
                let path = match self.may_be_path() {
                    true => {
                        "the path in the URI (the EKS agent's path is /v1/credentials, without a trailing slash) and "
                    }
                    false => "",
                };
                format!("check {path}which server responds at that address (from {})", peer.setting_or_default())
            }
        };
        match self.kind() {
            ErrorKind::Throttled | ErrorKind::Unavailable => {
                format!("the request is retried; if this continues, {check}")
            }
            _ => check,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_answer_remedy_mentions_retries() {
        let remedy = |status| {
            let peer = Peer::new(Server::Sts, "https://sts.example".to_owned(), None);
            BadAnswer { peer, status, body: Body::Html, what: What::Foreign }.remedy()
        };
        for (status, retried) in [(429, true), (503, true), (403, false), (200, false)] {
            assert_eq!(
                remedy(status).starts_with("the request is retried; if this continues, check "),
                retried,
                "{status}"
            );
            assert!(remedy(status).contains("check which server responds at that address"), "{status}");
        }
    }

    #[test]
    fn body_type_is_recognized() {
        for (bytes, expected) in [
            (&b""[..], Body::Empty),
            (b" \n", Body::Empty),
            (b"<!DOCTYPE html><html>", Body::Html),
            (b"\xef\xbb\xbf<HTML>", Body::Html),
            (b"<Error>", Body::Xml),
            (b"{\"a\":1}", Body::Json),
            (b"Forbidden", Body::Text),
            (b"a\x00b", Body::Binary),
            (b"\xff\xfe", Body::Binary),
            (b"{\"SecretAccessKey\":\"x\"}", Body::Credentials),
            ("<\u{e9}>".as_bytes(), Body::Xml),
        ] {
            assert_eq!(Body::of(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
