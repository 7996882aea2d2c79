//! The XML of STS's answers.
//!
//! The answers are small and of a fixed form, so they are read into a flat list of the elements that hold text. A
//! deserializer that derives its code from types would take longer to compile than the rest of this source.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::Event;
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::problem::table::is_code;

/// Deeper than any answer of STS, which has four levels.
const MAX_DEPTH: usize = 16;

/// An XML document: the elements that hold text and no elements, by the names from the root's children on.
pub(crate) struct Document<'a> {
    pub(crate) root: String,
    /// `AssumeRoleWithWebIdentityResult/Credentials/Expiration`, and its text. Text without references is borrowed: no
    /// copy of a key is made.
    elements: Vec<(String, Cow<'a, str>)>,
}

impl<'a> Document<'a> {
    /// `None` if `text` is not well-formed XML.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        // The reader takes a byte order mark off without counting it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = Reader::from_str(text);
        let mut open: Vec<String> = Vec::new();
        let mut document: Option<Self> = None;
        // Where the innermost open element's text begins, if it has had no elements so far.
        let mut text_from = None;
        loop {
            let before = position(&reader)?;
            let event = reader.read_event().ok()?;
            let inside = !open.is_empty();
            match event {
                Event::Start(tag) => {
                    let name = tag.local_name().as_ref().to_owned();
                    match &document {
                        None => document = Some(Self { root: name.clone(), elements: Vec::new() }),
                        // A second root.
                        Some(_) if !inside => return None,
                        Some(_) if open.len() >= MAX_DEPTH => return None,
                        Some(_) => {}
                    }
                    open.push(name);
                    text_from = Some(position(&reader)?);
                }
                Event::End(_) => {
                    let path = open.get(1..).unwrap_or_default().join("/");
                    open.pop()?;
                    if let Some(from) = text_from.take() {
                        let text = unescaped(text.get(from..before)?.trim_matches([' ', '\t', '\r', '\n']))?;
                        document.as_mut()?.elements.push((path, text));
                    }
                }
                Event::Text(_) | Event::GeneralRef(_) | Event::CData(_) if inside => {}
                // White space between the root and the declaration or the end.
                Event::Text(text) if text.trim().is_empty() => {}
                Event::Empty(_) if inside => text_from = None,
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) if !inside => {}
                // Inside an element: its text can no longer be taken as it stands.
                Event::PI(_) | Event::Comment(_) if inside => text_from = None,
                Event::Eof if !inside => return document,
                _ => return None,
            }
        }
    }

    /// The text of the one element at `path`; `None` if there is no such element, or more than one.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        let mut found = self.elements.iter().filter(|(at, _)| at == path);
        match (found.next(), found.next()) {
            (Some((_, text)), None) => Some(text),
            _ => None,
        }
    }
}

/// Text with references is a copy, and may quote the token.
impl Drop for Document<'_> {
    fn drop(&mut self) {
        for (_, text) in &mut self.elements {
            if let Cow::Owned(copy) = text {
                copy.zeroize();
            }
        }
    }
}

/// The text of an element: one CDATA section, or text with references. Both together are in no answer of STS.
fn unescaped(raw: &str) -> Option<Cow<'_, str>> {
    match raw.strip_prefix("<![CDATA[").and_then(|rest| rest.strip_suffix("]]>")) {
        Some(text) if !text.contains("]]>") => Some(Cow::Borrowed(text)),
        _ if raw.contains('<') => None,
        _ => unescape(raw).ok(),
    }
}

fn position(reader: &Reader<&[u8]>) -> Option<usize> {
    usize::try_from(reader.buffer_position()).ok()
}

/// What STS refuses a request with, whatever the action.
pub(crate) struct Refusal {
    pub(crate) code: String,
    /// May quote the token.
    pub(crate) message: Zeroizing<String>,
}

impl Refusal {
    /// `None`: the answer is not a refusal in the form of STS.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let document = Document::parse(std::str::from_utf8(body).ok()?)?;
        // Ceph RGW and others leave the outer element out.
        let path = match document.root.as_str() {
            "ErrorResponse" => "Error/",
            "Error" => "",
            _ => return None,
        };
        let text = |name: &str| document.text(&format!("{path}{name}"));
        let code = text("Code").filter(|code| is_code(code))?.to_owned();
        let message = text("Message").unwrap_or_default().to_owned();
        Some(Self { code, message: Zeroizing::new(message) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_has_the_text_of_each_element() {
        let xml = "<?xml version=\"1.0\"?>\n<!-- c --><r xmlns=\"u\">\n <a><b>1 &amp; &#50;</b> <c/><d></d></a>\n<e> x </e></r>\n";
        let document = Document::parse(xml).unwrap();
        assert_eq!(document.root, "r");
        let texts = ["a/b", "a/c", "a/d", "e", "a", "b", "r"].map(|path| document.text(path));
        assert_eq!(texts, [Some("1 & 2"), None, Some(""), Some("x"), None, None, None]);
        let cdata = Document::parse("\u{feff}<r><a><![CDATA[<1&>]]></a></r>").unwrap();
        assert_eq!(cdata.text("a"), Some("<1&>"));
        let twice = Document::parse("<r><a>1</a><a>2</a></r>").unwrap();
        assert_eq!(twice.text("a"), None);
    }

    #[test]
    fn document_that_is_not_well_formed_is_refused() {
        let deep = "<r>".repeat(MAX_DEPTH + 1) + &"</r>".repeat(MAX_DEPTH + 1);
        for xml in [
            "",
            "text",
            "{}",
            "<r>",
            "<r></s>",
            "<r/>",
            "<r></r><s></s>",
            "<r></r>text",
            "<r>&unknown;</r>",
            "</r>",
            "<!DOCTYPE r [<!ENTITY e \"x\">]><r>&e;</r>",
            "<r a=></r",
            "<r><a>1</r></a>",
            &deep,
        ] {
            assert!(Document::parse(xml).is_none(), "{xml}");
        }
    }
}
