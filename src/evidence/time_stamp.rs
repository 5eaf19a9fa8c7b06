//! A time stamp of RFC 3161: the question about a document. The reply is kept as it came, and OpenSSL verifies it.

use sha2::{Digest, Sha256};

/// The media type of a question (RFC 3161, 3.4).
pub const QUERY_TYPE: &str = "application/timestamp-query";

/// `TimeStampReq` up to the digest: version 1, SHA-256.
const BEGIN: [u8; 24] = [
    0x30, 0x39, 0x02, 0x01, 0x01, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
    0x01, 0x05, 0x00, 0x04, 0x20,
];

/// `certReq`: the reply shall have the certificate of the authority.
const END: [u8; 3] = [0x01, 0x01, 0xff];

/// The question about a document, as DER.
pub fn query(document: &[u8]) -> Vec<u8> {
    let digest = Sha256::digest(document);
    [&BEGIN[..], digest.as_slice(), &END[..]].concat()
}

/// Whether a reply says that the time stamp was granted (RFC 3161, 2.4.2: status 0 or 1).
///
/// # Errors
/// A sentence about "it", the reply.
pub fn check(reply: &[u8]) -> Result<(), String> {
    let status = content(reply, 0x30).and_then(|reply| content(reply, 0x30)).and_then(|status| content(status, 0x02));
    match status {
        Some([0 | 1]) => Ok(()),
        Some([status]) => Err(format!("it refuses the time stamp, with status {status}")),
        _ => Err("it is no reply of RFC 3161".to_owned()),
    }
}

/// The content of the first element, where it has this tag (X.690, 8.1).
fn content(der: &[u8], tag: u8) -> Option<&[u8]> {
    let (found, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (length.iter().fold(0, |value, byte| value << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    (*found == tag).then(|| rest.get(..length)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamp_query_has_digest() {
        let query = query(b"abc");
        assert_eq!(query.len(), 59);
        assert_eq!(usize::from(query[1]), query.len() - 2);
        assert_eq!(query[24..28], [0xba, 0x78, 0x16, 0xbf]);
    }

    #[test]
    fn time_stamp_reply_status_is_read() {
        assert_eq!(check(&[0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x00]), Ok(()));
        assert_eq!(check(&[0x30, 0x81, 0x05, 0x30, 0x03, 0x02, 0x01, 0x01]), Ok(()));
        let refused = check(&[0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x02]);
        assert_eq!(refused, Err("it refuses the time stamp, with status 2".to_owned()));
        for wrong in [&b""[..], b"<html>", &[0x30, 0xff], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0x05, 0x30]] {
            assert!(check(wrong).is_err_and(|why| why.contains("no reply")), "{wrong:?}");
        }
    }
}
