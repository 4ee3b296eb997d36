//! Sets the build ID by which a page recognizes a server that it can talk to: a hash of the types that travel between
//! them. Those are in the `domain` crate and in the signatures of the server functions. Changes elsewhere, such as in a
//! query or in a page, leave the build ID alone, so pages that are open during an update keep working.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

const TYPES: &str = "../crates/domain/src";
const FUNCTIONS: &str = "src";

fn main() {
    let mut hasher = DefaultHasher::new();
    for file in files(TYPES) {
        code(&read(&file)).hash(&mut hasher);
    }
    for file in files(FUNCTIONS) {
        signatures(&read(&file)).hash(&mut hasher);
    }
    let id = hasher.finish() & 0xffff_ffff;
    println!("cargo::rustc-env=WHEELHOUSE_BUILD={id:08x}");
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The Rust files in a folder, in order. The build ID is computed again when one changes.
fn files(folder: &str) -> BTreeSet<PathBuf> {
    println!("cargo::rerun-if-changed={folder}");
    let mut files = BTreeSet::new();
    collect(Path::new(folder), &mut files);
    assert!(!files.is_empty(), "{folder} has no files");
    files
}

fn collect(folder: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.insert(path);
        }
    }
}

/// A file's lines without comments and unit tests.
fn code(text: &str) -> Vec<&str> {
    text.lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .collect()
}

/// The signatures of a file's server functions.
fn signatures(text: &str) -> Vec<&str> {
    text.split("#[server(")
        .skip(1)
        .filter_map(|rest| rest.split(" {\n").next())
        .collect()
}
