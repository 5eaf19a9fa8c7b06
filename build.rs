//! One flag for the linker, which Cargo.toml has no place for, and the configuration's schema as the program
//! carries it: without the blanks that are for people.

use std::path::Path;
use std::{env, fs};

/// What people read.
const SCHEMA: &str = "docs/schema/config.json";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SCHEMA}");
    let schema = fs::read_to_string(SCHEMA).expect("the schema is committed");
    // No line break of JSON stands inside of a string (RFC 8259, 7).
    let short: String = schema.lines().map(str::trim_start).collect();
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("config.schema.json"), short).expect("cargo's folder can be written");

    let is = |name: &str, value: &str| env::var(name).is_ok_and(|text| text == value);
    // Functions that came out the same are kept once. rustc links with its own LLD there, which can.
    if is("PROFILE", "release") && is("TARGET", "x86_64-unknown-linux-gnu") {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
}
