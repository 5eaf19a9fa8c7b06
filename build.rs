//! Flags for the linker, which Cargo.toml has no place for, and texts as the program carries them: the
//! configuration's schema without the blanks that are for people, and the pages of the codes, compressed.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// What people read.
const SCHEMA: &str = "docs/schema/config.json";
const CODES: &str = "docs/codes";

/// Which functions stand side by side.
const ORDER: &str = "scripts/function-order.txt";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for read in [SCHEMA, CODES, ORDER] {
        println!("cargo::rerun-if-changed={read}");
    }
    let schema = fs::read_to_string(SCHEMA).expect("the schema is committed");
    // No line break of JSON stands inside of a string (RFC 8259, 7).
    let short: String = schema.lines().map(str::trim_start).collect();
    write("config.schema.json", short.as_bytes());
    write("codes.z", &compressed(&pages()));

    let is = |name: &str, value: &str| env::var(name).is_ok_and(|text| text == value);
    // rustc links with its own LLD there, which can.
    if is("PROFILE", "release") && is("TARGET", "x86_64-unknown-linux-gnu") {
        // Functions that came out the same are kept once.
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
        // Those that an agent runs stand together, and the pages of the others need not be in memory: decision 12.
        let order = env::current_dir().expect("cargo sets it").join(ORDER);
        println!("cargo::rustc-link-arg-bins=-Wl,--symbol-ordering-file={}", order.display());
        println!("cargo::rustc-link-arg-bins=-Wl,--no-warn-symbol-ordering");
    }
}

/// All pages, by name, each after a line of its name and ended by a NUL.
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

/// Writes a file for `include_bytes!` and `include_str!`.
fn write(name: &str, content: &[u8]) {
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join(name), content).expect("cargo's folder can be written");
}
