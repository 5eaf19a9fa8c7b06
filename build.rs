//! Prepares the texts that the program embeds, compressed: the configuration's schema without indentation, and the
//! pages of the codes.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::ZlibEncoder;

const SCHEMA: &str = "docs/schema/config.json";
const CODES: &str = "docs/codes";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for path in [SCHEMA, CODES] {
        println!("cargo::rerun-if-changed={path}");
    }
    let schema = fs::read_to_string(SCHEMA).expect("the schema is committed");
    // A JSON string contains no line break (RFC 8259, section 7).
    let short: String = schema.lines().map(str::trim_start).collect();
    write("config.schema.z", &compressed(&short));
    write("codes.z", &compressed(&pages()));
}

/// All pages in order of their names: a line with the name, the text, a NUL.
fn pages() -> String {
    let entries = fs::read_dir(CODES).expect("the pages are committed");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.retain(|file| !file.ends_with("README.md"));
    files.sort();
    let mut pages = String::new();
    for file in files {
        let name = file.file_stem().and_then(|name| name.to_str()).expect("a page has a name");
        let text = fs::read_to_string(&file).expect("a page is a text");
        write!(pages, "{name}\n{text}\0").expect("memory");
    }
    pages
}

fn compressed(text: &str) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

/// Writes a file for `include_bytes!`.
fn write(name: &str, content: &[u8]) {
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join(name), content).expect("cargo's folder can be written");
}
