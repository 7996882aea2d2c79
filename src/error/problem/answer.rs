//! A complete answer that is not what the protocol says.

use super::peer::{Peer, Server};
use super::table;
use crate::error::ErrorKind;

/// An answer that is not in the form of the server that was asked, or a success that cannot be used.
#[derive(Debug)]
pub(crate) struct BadAnswer {
    pub(crate) peer: Peer,
    pub(crate) status: u16,
    /// What the body is, without anything of it.
    pub(crate) body: Body,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Redirect,
    TooLarge,
    /// The status is not one of success, and the body is not a refusal of the server.
    Foreign,
    /// The status is 200; in the server's form `0` is wrong.
    Invalid(String),
}

/// What can be said of a body without quoting it: it may contain the token in any form.
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
                "{name} answered {status}, a redirect, which is not followed because the token would be sent along; the \
                 answer is not from {server}: a proxy or another server has sent it"
            ),
            What::TooLarge => format!(
                "{name} answered {status} with more than 64 KiB; the answer is not from {server}: a proxy or another \
                 server has sent it"
            ),
            What::Foreign if self.may_be_path() => format!(
                "{name} answered {status} with {}: either the path of the URI is wrong, or the answer is not from {server} \
                 but from a proxy or another server",
                body.shown()
            ),
            What::Foreign => format!(
                "{name} answered {status} with {}; the answer is not from {server}: a proxy or another server has sent it",
                body.shown()
            ),
            What::Invalid(wrong) => {
                let wrong = if *body == Body::Empty { body.shown() } else { wrong.as_str() };
                format!("{name} answered {status} with {wrong}")
            }
        }
    }

    /// Whether the path of the URI may be the mistake. That of the EKS agent is known.
    pub(crate) fn may_be_path(&self) -> bool {
        self.peer.server == Server::Container && matches!(self.what, What::Foreign) && self.status == 404
    }

    pub(crate) fn remedy(&self) -> String {
        let Self { peer, .. } = self;
        let on_the_way = match (&peer.proxy, peer.server) {
            (Some(proxy), _) => format!("check the proxy {} of {}", proxy.address, proxy.variable),
            (None, Server::Sts) => match peer.setting {
                Some(setting) => format!("check {setting} and what answers at that address"),
                None => "check what answers at that address: a service mesh, a transparent proxy, a private DNS zone or a VPC \
                         endpoint"
                    .to_owned(),
            },
            (None, Server::EksAgent) => {
                "check what answers at that address: a service mesh or another metadata agent must not intercept it"
                    .to_owned()
            }
            (None, Server::Container) => {
                let path = match self.may_be_path() {
                    true => "the path in the URI (the EKS agent's is /v1/credentials, without a slash at the end) and ",
                    false => "",
                };
                format!("check {path}what answers at that address: {} names it", peer.setting_or_default())
            }
        };
        match self.kind() {
            ErrorKind::Throttled | ErrorKind::Unavailable => {
                format!("the request is repeated; if this lasts, {on_the_way}")
            }
            _ => on_the_way,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_repeated_is_said_to_be() {
        let remedy = |status| {
            let peer = Peer::new(Server::Sts, "https://sts.example".to_owned(), None);
            BadAnswer { peer, status, body: Body::Html, what: What::Foreign }.remedy()
        };
        for (status, repeated) in [(429, true), (503, true), (403, false), (200, false)] {
            assert_eq!(
                remedy(status).starts_with("the request is repeated; if this lasts, check "),
                repeated,
                "{status}"
            );
            assert!(remedy(status).contains("check what answers at that address"), "{status}");
        }
    }

    #[test]
    fn body_is_told_without_a_word_of_it() {
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
