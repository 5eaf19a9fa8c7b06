//! The bytes of a file of `az` as text, within bounds.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

/// More than this is not read: the longest lists of a subscription are far below.
pub const MAX_BYTES: usize = 16 << 20;

/// What may stand under a file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file alone: to read a pipe could take for ever.
    File,
    /// A file, or a pipe such as `<(az ...)` of a shell.
    FileOrPipe,
}

pub(super) fn bytes(path: &Path, source: Source) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "it cannot be read: permission denied".to_owned(),
        _ => format!("it cannot be read: {error}"),
    };
    let metadata = fs::metadata(path).map_err(cannot)?;
    if metadata.is_dir() {
        return Err("it is a directory: a file of JSON is expected".to_owned());
    }
    if !metadata.is_file() && source == Source::File {
        return Err("it is not a regular file: a file of JSON is expected".to_owned());
    }
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).map_err(cannot)?;
    if bytes.len() > MAX_BYTES {
        return Err("it is longer than 16 MiB: the JSON of one command of az is expected".to_owned());
    }
    Ok(bytes)
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
    fn what_windows_writes_is_read() {
        let le: Vec<u8> = [0xff, 0xfe].into_iter().chain("[1]".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(decoded(le.clone()).as_deref(), Ok("[1]"));
        assert_eq!(decoded(b"\xef\xbb\xbf[1]".to_vec()).as_deref(), Ok("[1]"));
        assert!(decoded(le[..le.len() - 1].to_vec()).is_err());
        assert!(decoded(b"[\n\xff]".to_vec()).is_err_and(|error| error.starts_with("line 2: ")));
    }
}
