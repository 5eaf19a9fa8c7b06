//! The bytes received in a handshake: their count, and version and cipher suite from the ServerHello.
//!
//! rustls gives both of a finished handshake alone, and the record has them of one that failed, too. The ServerHello
//! is never encrypted, so that its beginning is enough.

use tokio_rustls::rustls::CipherSuite;

/// How many of the first bytes are kept: a ServerHello of TLS 1.3 has about 130.
const HEAD_BYTES: usize = 256;

/// The bytes received.
#[derive(Default)]
pub(super) struct Received {
    /// How many.
    pub(super) bytes: u64,
    /// The first of them.
    pub(super) head: Vec<u8>,
}

impl Received {
    pub(super) fn count(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        let room = HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Whether this can be the beginning of TLS: a record of one of the four types (RFC 8446, 5.1).
    pub(super) fn may_be_tls(&self) -> bool {
        self.head.first().is_none_or(|first| (0x14..=0x17).contains(first))
    }

    /// The version and the cipher suite of a ServerHello, as a record has them.
    pub(super) fn server_hello(&self) -> Option<(String, String)> {
        const HANDSHAKE: u8 = 22;
        const SERVER_HELLO: u8 = 2;
        const SUPPORTED_VERSIONS: u16 = 43;
        let mut rest = Bytes(&self.head);
        let (HANDSHAKE, _) = (rest.byte()?, rest.take(4)?) else { return None };
        let (SERVER_HELLO, _) = (rest.byte()?, rest.take(3)?) else { return None };
        let mut version = rest.word()?;
        rest.take(32)?; // random
        let session = rest.byte()?;
        rest.take(session.into())?;
        let suite = CipherSuite::from(rest.word()?);
        rest.take(3)?; // compression, and the length of the extensions
        while let Some(extension) = rest.word() {
            let length = rest.word()?;
            if extension == SUPPORTED_VERSIONS {
                version = rest.word()?;
                break;
            }
            let Some(_) = rest.take(length.into()) else { break };
        }
        let version = match version {
            0x0304 => "TLSv1.3",
            0x0303 => "TLSv1.2",
            0x0302 => "TLSv1.1",
            0x0301 => "TLSv1.0",
            _ => return None,
        };
        Some((version.to_owned(), iana_name(suite)))
    }
}

/// The suite's name in IANA's registry; rustls writes those of TLS 1.3 in its own way.
pub(super) fn iana_name(suite: CipherSuite) -> String {
    let name = format!("{suite:?}");
    name.strip_prefix("TLS13_").map_or(name.clone(), |rest| format!("TLS_{rest}"))
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn word(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello(version: u16, suite: u16, extensions: &[u8]) -> Vec<u8> {
        let mut hello = vec![22, 3, 3, 0, 0, 2, 0, 0, 0];
        hello.extend(version.to_be_bytes());
        hello.extend([7; 32]);
        hello.push(32);
        hello.extend([9; 32]);
        hello.extend(suite.to_be_bytes());
        hello.push(0);
        hello.extend(u16::try_from(extensions.len()).expect("a few bytes").to_be_bytes());
        hello.extend(extensions);
        hello
    }

    fn read(bytes: &[u8]) -> Option<(String, String)> {
        let mut received = Received::default();
        received.count(bytes);
        received.server_hello()
    }

    #[test]
    fn received_reads_server_hello() {
        let tls13 = hello(0x0303, 0x1302, &[0, 51, 0, 2, 0, 29, 0, 43, 0, 2, 3, 4]);
        assert_eq!(read(&tls13), Some(("TLSv1.3".into(), "TLS_AES_256_GCM_SHA384".into())));
        let tls12 = hello(0x0303, 0xc02f, &[]);
        assert_eq!(read(&tls12), Some(("TLSv1.2".into(), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".into())));
        assert_eq!(read(&tls13[..40]), None);
        assert_eq!(read(&[21, 3, 3, 0, 2, 2, 70]), None, "an alert");
    }

    proptest! {
        #[test]
        fn received_any_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), cut in 0_usize..200) {
            let _ = read(&bytes);
            let whole = hello(0x0303, 0x1301, &bytes);
            let _ = read(&whole[..whole.len().min(cut)]);
            let _ = read(&whole);
        }
    }
}
