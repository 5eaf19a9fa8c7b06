//! The bytes of a file of `az` as text, within bounds.

use std::path::Path;

use crate::bounded_read::{self, FileKind, ReadError};

/// More than this is not read: the longest lists of a subscription are far below.
pub const MAX_BYTES: usize = 16 << 20;

pub(super) fn bytes(path: &Path, kind: FileKind) -> Result<Vec<u8>, String> {
    bounded_read::read(path, kind, MAX_BYTES).map_err(|error| match error {
        ReadError::Directory | ReadError::NotRegular => format!("{error}: a file of JSON is expected"),
        ReadError::TooLong(_) => format!("{error}: the JSON of one command of az is expected"),
        ReadError::NotFound | ReadError::Io(_) => error.to_string(),
    })
}

/// UTF-8, with or without its mark, and UTF-16, which `>` writes in Windows PowerShell.
pub(super) fn decoded(bytes: Vec<u8>) -> Result<String, String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        let whole = bytes.len().is_multiple_of(2);
        char::decode_utf16(units)
            .collect::<Result<String, _>>()
            .ok()
            .filter(|_| whole)
            .ok_or_else(|| "it begins as UTF-16 text and is not: JSON in UTF-8 is expected".to_owned())
    };
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => {
            let text = String::from_utf8(bytes).map_err(|error| {
                let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
                format!("line {line}: it is not UTF-8 text: JSON is expected")
            })?;
            Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn az_reads_files_written_on_windows() {
        let le: Vec<u8> = [0xff, 0xfe].into_iter().chain("[1]".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(decoded(le.clone()).as_deref(), Ok("[1]"));
        assert_eq!(decoded(b"\xef\xbb\xbf[1]".to_vec()).as_deref(), Ok("[1]"));
        assert!(decoded(le[..le.len() - 1].to_vec()).is_err());
        assert!(decoded(b"[\n\xff]".to_vec()).is_err_and(|error| error.starts_with("line 2: ")));
    }
}
