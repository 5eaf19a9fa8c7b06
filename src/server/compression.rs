//! Whether and how an answer's body is compressed (RFC 9110, 12.5.3): gzip, or not at all.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Shorter bodies are not worth it.
const MIN_COMPRESSED_SIZE: usize = 512;

/// The body in gzip, where the `Accept-Encoding` header takes it and it is worth it.
pub(crate) fn gzipped(accept_encoding: Option<&str>, body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < MIN_COMPRESSED_SIZE || !accept_encoding.is_some_and(takes_gzip) {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

/// What `write` writes, and whether that is in gzip; where it is, what was written is not held beside it.
///
/// # Errors
/// Those of `write`.
pub(crate) fn written(
    accept_encoding: Option<&str>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<(Pieces, bool)> {
    let mut body = Pieces::default();
    let is_gzip = accept_encoding.is_some_and(takes_gzip);
    if is_gzip {
        let mut encoder = GzEncoder::new(&mut body, Compression::fast());
        write(&mut encoder)?;
        encoder.finish()?;
    } else {
        write(&mut body)?;
    }
    Ok((body, is_gzip))
}

/// A long body in pieces. As one it would be let go of as one, and the C library takes that for its usual size: it
/// keeps twice as much from then on (mallopt(3), M_MMAP_THRESHOLD).
#[derive(Default)]
pub(crate) struct Pieces {
    whole: Vec<Vec<u8>>,
    last: Vec<u8>,
}

impl Pieces {
    /// The size of a piece, well below the 128 KiB from which on the C library treats them apart.
    const SIZE: usize = 64 * 1024;

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.whole.len() * Self::SIZE + self.last.len()
    }

    /// The pieces in their order.
    pub(crate) fn into_iter(self) -> impl Iterator<Item = Vec<u8>> {
        self.whole.into_iter().chain(std::iter::once(self.last))
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.last.len() == Self::SIZE {
            self.whole.push(std::mem::take(&mut self.last));
        }
        if self.last.capacity() == 0 {
            self.last.reserve_exact(Self::SIZE);
        }
        let taken = bytes.len().min(Self::SIZE - self.last.len());
        self.last.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether gzip is named with a weight above 0, or not named and covered by `*`.
fn takes_gzip(header: &str) -> bool {
    let weight = |name: &str| {
        header.split(',').find_map(|part| {
            let mut pieces = part.split(';').map(str::trim);
            let coding = pieces.next()?;
            let wanted = coding.eq_ignore_ascii_case(name) || (name == "gzip" && coding.eq_ignore_ascii_case("x-gzip"));
            let weight = pieces.find_map(|piece| piece.strip_prefix("q=").or_else(|| piece.strip_prefix("Q=")));
            wanted.then(|| weight.map_or(1.0, |weight| weight.trim().parse::<f32>().unwrap_or(0.0)))
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|weight| weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_chunked_body_is_complete() {
        for length in [0, 1, Pieces::SIZE - 1, Pieces::SIZE, Pieces::SIZE + 1, 5 * Pieces::SIZE + 7] {
            let body: Vec<u8> = (0..=250).cycle().take(length).collect();
            let (pieces, is_gzip) = written(None, |to| to.write_all(&body)).expect("memory");
            assert!(pieces.len() == length && !is_gzip);
            assert!(pieces.into_iter().flatten().eq(body), "{length}");
        }
        let (pieces, is_gzip) = written(Some("gzip"), |to| to.write_all(&[b'x'; 100_000])).expect("memory");
        assert!(is_gzip && pieces.len() < 1_000);
        assert!(pieces.into_iter().flatten().take(2).eq([0x1f, 0x8b]), "RFC 1952, 2.3.1");
    }

    #[test]
    fn gzip_only_if_client_accepts() {
        for header in ["gzip", "GZIP", "deflate, gzip;q=0.5", "*", "br;q=1.0, *;q=0.1", "x-gzip", "gzip ; q=1"] {
            assert!(takes_gzip(header), "{header}");
        }
        for header in ["", "identity", "gzip;q=0", "gzip;q=0.0, *", "gzip;q=nan", "br", "*;q=0", "gzipped", ";;,,"] {
            assert!(!takes_gzip(header), "{header}");
        }
        let body = b"redpath_probe_success 1\n".repeat(100);
        assert!(gzipped(Some("gzip"), &body).expect("worth it").len() < body.len() / 4);
        assert!(gzipped(Some("gzip"), b"short").is_none() && gzipped(None, &body).is_none());
    }
}
