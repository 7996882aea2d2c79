//! Problems of a token file, or of a variable that contains a token.

use crate::error::ErrorKind;

/// A token that cannot be sent.
#[derive(Debug)]
pub(crate) struct BadToken {
    /// The path of the file, or the name of the variable.
    pub(crate) origin: String,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Missing,
    /// `ownership` is the uid of this process, and the mode and the owner of the file.
    Denied {
        ownership: String,
    },
    NotAFile,
    ThroughAFile,
    Loop,
    /// An I/O error of the volume, or no free file descriptor.
    Io,
    Hangs,
    ThreadEnded,
    TooLarge,
    NotText,
    Empty,
    /// A line break, a control character or a character that is not ASCII.
    BadCharacter,
    /// White space inside the text.
    SeveralWords,
}

impl BadToken {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self.what {
            What::Io | What::ThreadEnded => ErrorKind::Unavailable,
            What::Hangs => ErrorKind::Timeout,
            _ => ErrorKind::TokenFile,
        }
    }

    pub(crate) fn observed(&self) -> String {
        let origin = &self.origin;
        match &self.what {
            What::Missing => format!("the token file {origin} does not exist"),
            What::Denied { ownership } => format!("this process may not read the token file {origin} ({ownership})"),
            What::NotAFile => format!("the token path {origin} is not a regular file"),
            What::ThroughAFile => format!("a part of the token path {origin} is a file and not a directory"),
            What::Loop => format!("the token path {origin} contains a loop of symbolic links"),
            What::Io => format!("the token file {origin} could not be read"),
            What::Hangs => format!("the token file {origin} could not be read within 5 s: its volume does not respond"),
            What::ThreadEnded => format!("the thread that reads the token file {origin} ended unexpectedly"),
            What::TooLarge => {
                format!("the token in {origin} is larger than 64 KiB, so it is not a service account token")
            }
            What::NotText => format!("the token in {origin} is not UTF-8 text, so it is not a service account token"),
            What::Empty => format!("the token in {origin} is empty"),
            What::BadCharacter => {
                format!(
                    "the token in {origin} contains a line break, a control character or a character that is not ASCII"
                )
            }
            What::SeveralWords => format!("the token in {origin} is followed by other text"),
        }
    }

    pub(crate) fn remedy(&self) -> &'static str {
        match self.what {
            What::Missing => "check that the pod mounts the projected service account token there",
            What::Denied { .. } => {
                "set fsGroup in the pod's securityContext: kubelet then makes the token readable for that group"
            }
            What::NotAFile | What::ThroughAFile | What::Loop | What::TooLarge | What::NotText => {
                "use the path of the projected service account token"
            }
            What::Io | What::ThreadEnded => "the file is read again at the next attempt",
            What::Hangs => "check the kubelet of the node: the volume should be in memory",
            What::Empty => "check the projected volume",
            What::BadCharacter | What::SeveralWords => "expected one line with one token, as kubelet writes it",
        }
    }
}
