//! XML elements as XMPP uses them, and a reader of them from a stream.

use std::io::BufRead;

use anyhow::{Context, Result, bail};
use quick_xml::Reader;
use quick_xml::escape::{resolve_predefined_entity, unescape};
use quick_xml::events::{BytesStart, Event};

/// One element with everything inside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// The name as written, with its prefix if there is one.
    pub name: String,
    /// Attributes in the order of the text, `xmlns` among them.
    pub attributes: Vec<(String, String)>,
    /// Elements directly inside.
    pub children: Vec<Element>,
    /// All text directly inside.
    pub text: String,
}

impl Element {
    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first child with this name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Whether some child is `<x><status code='…'/></x>`, which is how a MUC says what a presence means.
    pub fn has_status(&self, code: &str) -> bool {
        self.children
            .iter()
            .filter(|child| child.name == "x")
            .flat_map(|x| &x.children)
            .any(|status| status.name == "status" && status.attribute("code") == Some(code))
    }
}

/// Reads the elements directly inside `<stream:stream>`, one after the other.
pub(super) struct Stanzas<R> {
    reader: Reader<R>,
}

impl<R: BufRead> Stanzas<R> {
    pub(super) fn new(source: R) -> Self {
        let mut reader = Reader::from_reader(source);
        // A stream begins anew after authentication without ending first, so ends need not match.
        reader.config_mut().check_end_names = false;
        Self { reader }
    }

    /// The next stanza; `None` when the other side has ended the stream or the connection.
    pub(super) fn next(&mut self) -> Result<Option<Element>> {
        let mut buffer = Vec::new();
        let mut open: Vec<Element> = Vec::new();
        loop {
            buffer.clear();
            match self.reader.read_event_into(&mut buffer)? {
                Event::Start(start) if start.name().as_ref() == "stream:stream" => {}
                Event::Start(start) => open.push(element(&start)?),
                Event::Empty(empty) => {
                    let done = element(&empty)?;
                    match open.last_mut() {
                        Some(parent) => parent.children.push(done),
                        None => return Ok(Some(done)),
                    }
                }
                Event::End(_) => {
                    let Some(done) = open.pop() else { return Ok(None) };
                    match open.last_mut() {
                        Some(parent) => parent.children.push(done),
                        None => return Ok(Some(done)),
                    }
                }
                Event::Text(text) => {
                    if let Some(parent) = open.last_mut() {
                        parent.text.push_str(&text);
                    }
                }
                Event::GeneralRef(reference) => {
                    if let Some(parent) = open.last_mut() {
                        parent.text.push_str(&character(&reference)?);
                    }
                }
                Event::Eof => return Ok(None),
                _ => {}
            }
        }
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute?;
        let key = attribute.key.as_ref().to_owned();
        let value = unescape(&attribute.value)?.into_owned();
        attributes.push((key, value));
    }
    let name = start.name().as_ref().to_owned();
    Ok(Element { name, attributes, ..Element::default() })
}

/// The text of `&amp;` or `&#38;`, given what stands between `&` and `;`.
fn character(reference: &str) -> Result<String> {
    if let Some(text) = resolve_predefined_entity(reference) {
        return Ok(text.to_owned());
    }
    let Some(number) = reference.strip_prefix('#') else { bail!("unknown entity &{reference};") };
    let code = match number.strip_prefix('x') {
        Some(digits) => u32::from_str_radix(digits, 16)?,
        None => number.parse()?,
    };
    char::from_u32(code).map(String::from).with_context(|| format!("&{reference}; is no character"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_begins_twice_gives_its_stanzas_in_order() {
        let bytes: &[u8] = b"<?xml version='1.0'?><stream:stream a='1'><success/><?xml version='1.0'?><stream:stream>\
            <presence from='r@c/n'><x xmlns='u'><status code='110'/></x><nick>A &amp; &#x42;</nick></presence></stream:stream>";
        let mut stanzas = Stanzas::new(bytes);
        assert_eq!(stanzas.next().unwrap().unwrap().name, "success");
        let presence = stanzas.next().unwrap().unwrap();
        assert_eq!(presence.attribute("from"), Some("r@c/n"));
        assert!(presence.has_status("110") && !presence.has_status("307"));
        assert_eq!(presence.child("nick").unwrap().text, "A & B");
        assert!(stanzas.next().unwrap().is_none());
    }
}
