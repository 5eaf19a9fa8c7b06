//! What an answer says of its own origin: the SOA of its authority section, and its extended DNS error (RFC 8914).

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RData};

use crate::observation::dns::{AuthoritySoa, ExtendedError};
use crate::printable;

/// The EDNS option of extended DNS errors (RFC 8914, 2).
const EXTENDED_ERROR: u16 = 15;

/// The most characters kept of the text of an extended DNS error.
const MAX_TEXT: usize = 200;

/// What a message says of its origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) soa: Option<AuthoritySoa>,
    pub(super) extended_error: Option<ExtendedError>,
}

impl Origin {
    /// Of a response.
    pub(super) fn of(message: &Message) -> Self {
        let soa = message.authorities.iter().find_map(|record| match &record.data {
            RData::SOA(data) => Some(AuthoritySoa { owner: text(&record.name), primary: text(&data.mname) }),
            _ => None,
        });
        let option = message.edns.as_ref().and_then(|edns| edns.option(EdnsCode::from(EXTENDED_ERROR)));
        let extended_error = match option {
            Some(EdnsOption::Unknown(_, data)) => extended_error(data),
            _ => None,
        };
        Self { soa, extended_error }
    }
}

/// The code in the first two bytes, and the text after it.
fn extended_error(data: &[u8]) -> Option<ExtendedError> {
    let (code, text) = data.split_first_chunk::<2>()?;
    let text = String::from_utf8_lossy(text);
    let text = text.trim_end_matches('\0');
    Some(ExtendedError {
        code: u16::from_be_bytes(*code),
        text: (!text.is_empty()).then(|| printable::excerpt(text, MAX_TEXT)),
    })
}

/// A name as the record has it: lower case, no trailing dot, unusual characters escaped.
pub(super) fn text(name: &Name) -> String {
    let mut text = name.to_ascii().to_ascii_lowercase();
    if text.len() > 1 && text.ends_with('.') {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_error_text_is_bounded_and_escaped() {
        let mut data = vec![0, 15];
        data.extend(b"\x1b[31m\xff".iter().chain(&[b'x'; 1000]));
        let error = extended_error(&data).expect("an error");
        let text = error.text.expect("a text");
        assert_eq!(error.code, 15);
        assert!(text.starts_with("\\u{1b}[31m\u{fffd}x"), "{text}");
        assert!(text.chars().count() <= MAX_TEXT + 10, "{text}");
        assert_eq!(extended_error(&[15]), None);
        assert_eq!(extended_error(&[0, 17]), Some(ExtendedError { code: 17, text: None }));
    }
}
