//! The pages of the codes. The program carries them compressed (build.rs), since most processes show none.

use std::io::Read;

use flate2::read::ZlibDecoder;

/// Each page after a line of its code's name, and ended by a NUL.
const PAGES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/codes.z"));

/// The page of the code called `name`.
pub(super) fn of(name: &str) -> Option<String> {
    let mut pages = String::new();
    ZlibDecoder::new(PAGES).read_to_string(&mut pages).ok()?;
    pages.split('\0').find_map(|page| page.strip_prefix(name)?.strip_prefix('\n')).map(str::to_owned)
}
