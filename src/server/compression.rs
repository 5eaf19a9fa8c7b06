//! Whether and how an answer's body is compressed (RFC 9110, 12.5.3): gzip, or not at all.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Shorter bodies are not worth it.
const WORTH_IT: usize = 512;

/// The body in gzip, where the `Accept-Encoding` header takes it and it is worth it.
pub(crate) fn gzipped(accept_encoding: Option<&str>, body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < WORTH_IT || !accept_encoding.is_some_and(takes_gzip) {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

/// What `write` writes, and whether that is in gzip. Where gzip is taken, what was written is not held beside it.
///
/// # Errors
/// Those of `write`.
pub(crate) fn written(
    accept_encoding: Option<&str>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<(Vec<u8>, bool)> {
    if accept_encoding.is_some_and(takes_gzip) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        write(&mut encoder)?;
        return Ok((encoder.finish()?, true));
    }
    let mut body = Vec::new();
    write(&mut body)?;
    Ok((body, false))
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
    fn gzip_is_sent_to_those_who_take_it() {
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
