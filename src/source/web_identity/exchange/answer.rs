//! The XML documents of STS.
//!
//! The documents are small, so they are parsed into a flat list of the elements that contain text. A derived deserializer would
//! take longer to compile than the rest of `source::web_identity`.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::Event;
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::problem::table::is_code;

/// The maximum depth of nested elements. The documents of STS have four levels.
const MAX_DEPTH: usize = 16;

/// An XML document, as a list of its elements that contain only text.
pub(crate) struct Document<'a> {
    pub(crate) root: String,
    /// Path and text of each element. The path begins below the root:
    /// `AssumeRoleWithWebIdentityResult/Credentials/Expiration`. Text without references is borrowed, so keys are not copied.
    elements: Vec<(String, Cow<'a, str>)>,
}

impl<'a> Document<'a> {
    /// `None` if `text` is not well-formed XML.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        // The reader would skip a byte order mark without counting it in its positions.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = Reader::from_str(text);
        let mut open: Vec<String> = Vec::new();
        let mut document: Option<Self> = None;
        // Start of the innermost open element's text. `None` once the element contains another one.
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
                        // A second root element.
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
                // Whitespace before or after the root element.
                Event::Text(text) if text.trim().is_empty() => {}
                Event::Empty(_) if inside => text_from = None,
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) if !inside => {}
                // The element contains more than text, so its text is not used.
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

/// Text with references was copied, and may contain the token.
impl Drop for Document<'_> {
    fn drop(&mut self) {
        for (_, text) in &mut self.elements {
            if let Cow::Owned(copy) = text {
                copy.zeroize();
            }
        }
    }
}

/// The text of an element: either one CDATA section or text with references. A mixture of both is refused, because STS never
/// sends it.
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

/// The error document of STS, which is the same for every action.
pub(crate) struct Refusal {
    pub(crate) code: String,
    /// May contain the token.
    pub(crate) message: Zeroizing<String>,
}

impl Refusal {
    /// `None` if the body is not an error document of STS.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let document = Document::parse(std::str::from_utf8(body).ok()?)?;
        // Ceph RGW and others omit the outer element. See "2.5 Other implementations of STS" in `docs::protocols`.
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
