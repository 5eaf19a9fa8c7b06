//! The configuration: files that load and files that do not, the schema, the documentation, the commands.

use std::path::{Path, PathBuf};
use redpath::config;
#[test]
fn dump() {
    for dir in ["valid", "invalid"] {
    let mut files: Vec<PathBuf> = std::fs::read_dir(Path::new("tests/configs").join(dir)).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for f in files {
        let text = std::fs::read_to_string(&f).unwrap();
        match config::parse(&text) { Ok(c) => println!("== {} OK {}", f.display(), c.targets.len()), Err(e) => println!("== {}\n{e}", f.display()) }
    }}
    println!("{:#}", config::schema());
    println!("{}", config::parse(include_str!("../configs/valid/defaults-of-everything.yaml")).unwrap_or_else(|e| panic!("{e}")).to_yaml().unwrap());
}
