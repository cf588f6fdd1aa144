//! Order of the layers, length of files, and agreement of documents with the code.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails where it breaks"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, lowest first: each imports only those before it.
const LAYERS: [&str; 10] = [
    "core",
    "disk",
    "wal",
    "table",
    "store",
    "sync",
    "transport",
    "metadata",
    "node",
    "bindings",
];

/// Longest file, in lines: enough for one noun, and still read at a sitting.
const LINES_MAX: usize = 700;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder; none if it does not exist.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| {
            if path.is_dir() {
                files_below(&path)
            } else {
                vec![path]
            }
        })
        .collect();
    files.sort();
    files
}

fn has_extension(path: &Path, wanted: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| wanted.contains(&extension))
}

fn text_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A path with `/` as separator, on every system.
fn shown(path: &Path) -> String {
    let relative = path.strip_prefix(root()).unwrap();
    let parts: Vec<_> = relative
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    parts.join("/")
}

fn rust_sources() -> Vec<PathBuf> {
    let mut files = files_below(&root().join("src"));
    files.retain(|path| has_extension(path, &["rs"]));
    assert!(files.len() > 50, "the sources were not found");
    files
}

/// The words that follow each `marker` in a text.
fn words_after<'a>(text: &'a str, marker: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(marker).map(move |(at, _)| {
        let rest = &text[at + marker.len()..];
        let end = rest
            .find(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .unwrap_or(rest.len());
        &rest[..end]
    })
}

/// The layers that a source imports: `crate::x`, and every branch of `crate::{x, y}`.
fn named_layers(text: &str) -> Vec<&str> {
    let mut named: Vec<&str> = words_after(text, "crate::").collect();
    for (at, _) in text.match_indices("crate::{") {
        let rest = &text[at + "crate::{".len()..];
        let mut depth = 1_usize;
        let mut begins = true;
        for (place, letter) in rest.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => begins = true,
                letter if begins && letter.is_alphabetic() => {
                    begins = false;
                    named.extend(words_after(&rest[place..], "").next());
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    named
}

#[test]
fn layers_import_only_downwards() {
    let place = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    let source = root().join("src");
    let mut wrong = Vec::new();
    for path in rust_sources() {
        let mut parts = path.strip_prefix(&source).unwrap().iter();
        let first = parts.next().unwrap().to_string_lossy().into_owned();
        if first == "lib.rs" || first == "fuzzing.rs" {
            continue;
        }
        let Some(own) = place(&first) else {
            wrong.push(format!("{}: \"{first}\" is no layer", shown(&path)));
            continue;
        };
        let text = text_of(&path);
        let depth = path.strip_prefix(&source).unwrap().iter().count()
            - usize::from(path.ends_with("mod.rs"));
        let climbed = "super::".repeat(depth);
        let by_climbing = words_after(&text, &climbed);
        for named in named_layers(&text).into_iter().chain(by_climbing) {
            if place(named).is_some_and(|layer| layer > own) {
                wrong.push(format!("{} uses {named}", shown(&path)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn imports_in_braces_are_seen_too() {
    let text = "use crate::{core::{clock::Now, stamp}, node, wal::log::Log};\nuse crate::sync::x;";
    let named: BTreeSet<&str> = named_layers(text).into_iter().collect();
    for layer in ["core", "node", "wal", "sync"] {
        assert!(named.contains(layer), "{layer} in {named:?}");
    }
}

#[test]
fn files_are_short() {
    let mut long = Vec::new();
    for folder in ["src", "js", "tests", "__test__", "examples"] {
        for path in files_below(&root().join(folder)) {
            // Type declarations are excepted: they are a list of members, each with its prose.
            if has_extension(&path, &["rs", "js", "mjs", "cjs"]) {
                let lines = text_of(&path).lines().count();
                if lines > LINES_MAX {
                    long.push(format!("{}: {lines} lines", shown(&path)));
                }
            }
        }
    }
    assert!(
        long.is_empty(),
        "longer than {LINES_MAX} lines:\n{}",
        long.join("\n")
    );
}

#[test]
fn nothing_is_left_for_later() {
    // Joined here, so that this file does not find itself.
    let markers = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["XX", "X:"],
        ["to", "do!("],
        ["unimplem", "ented!("],
        ["db", "g!("],
    ]
    .map(|halves| halves.concat());
    let mut found = Vec::new();
    for folder in ["src", "js", "tests", "__test__", "examples", "scripts"] {
        for path in files_below(&root().join(folder)) {
            if !has_extension(&path, &["rs", "js", "mjs", "cjs", "ts", "mts"]) {
                continue;
            }
            for (number, line) in text_of(&path).lines().enumerate() {
                if markers.iter().any(|marker| line.contains(marker.as_str())) {
                    found.push(format!("{}:{}: {}", shown(&path), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The folders below `src`, `js` and `tests` that contain sources themselves, as paths.
fn folders_with_sources() -> BTreeSet<String> {
    ["src", "js", "tests"]
        .iter()
        .flat_map(|folder| files_below(&root().join(folder)))
        .filter(|path| has_extension(path, &["rs", "js", "mjs"]))
        .map(|path| shown(path.parent().unwrap()))
        .filter(|folder| !folder.starts_with("js/"))
        .collect()
}

#[test]
fn the_map_has_a_paragraph_for_every_folder() {
    let map = text_of(&root().join("ARCHITECTURE.md"));
    let told: BTreeSet<&str> = map
        .lines()
        .filter(|line| line.starts_with("**`"))
        .flat_map(|line| line.split("**").skip(1).step_by(2))
        .flat_map(|bold| bold.split('`').skip(1).step_by(2))
        .collect();
    let folders = folders_with_sources();
    assert!(folders.len() > 40, "the folders were not found");
    let missing: Vec<&String> = folders
        .iter()
        .filter(|folder| !told.contains(folder.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "ARCHITECTURE.md has no paragraph that begins with **`folder`** for {missing:?}"
    );
    let gone: Vec<&&str> = told
        .iter()
        .filter(|folder| !root().join(folder).is_dir())
        .collect();
    assert!(
        gone.is_empty(),
        "ARCHITECTURE.md tells of no folder: {gone:?}"
    );
}

#[test]
fn the_map_is_short() {
    let lines = text_of(&root().join("ARCHITECTURE.md")).lines().count();
    assert!(lines <= 250, "ARCHITECTURE.md has {lines} lines");
}

#[test]
fn every_source_says_first_what_it_is() {
    let mut silent = Vec::new();
    for path in rust_sources() {
        if !text_of(&path).starts_with("//! ") {
            silent.push(shown(&path));
        }
    }
    for path in fs::read_dir(root().join("js")).unwrap() {
        let path = path.unwrap().path();
        let text = has_extension(&path, &["js", "mjs"]).then(|| text_of(&path));
        let is_silent = |text: String| {
            let text = text.replacen("'use strict';", "", 1);
            !text.trim_start().starts_with("// ")
        };
        if text.is_some_and(is_silent) {
            silent.push(shown(&path));
        }
    }
    assert!(
        silent.is_empty(),
        "no comment at the beginning of:\n{}",
        silent.join("\n")
    );
}

/// The documents, by their path.
fn documents() -> Vec<PathBuf> {
    let mut documents: Vec<PathBuf> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .chain(files_below(&root().join("docs")))
        .filter(|path| has_extension(path, &["md"]))
        .collect();
    documents.sort();
    assert!(documents.len() > 10, "the documents were not found");
    documents
}

/// The words of a text in backticks, each with its offset.
fn in_backticks(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut at = line.as_ptr() as usize - text.as_ptr() as usize;
        for (number, part) in line.split('`').enumerate() {
            if number % 2 == 1 {
                found.push((at, part));
            }
            at += part.len() + 1;
        }
    }
    found
}

/// The lines of a source that are comments, as one text.
fn comments_of(path: &Path) -> String {
    let text = text_of(path);
    let lines = text.lines().map(str::trim_start);
    let lines = lines.filter(|line| ["//", "/*", "*"].iter().any(|mark| line.starts_with(mark)));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The documents, the comments of all sources, and the configuration of tools, each with its path.
fn prose() -> Vec<(String, String)> {
    let folders = [
        "src", "js", "tests", "__test__", "benches", "fuzz", "scripts",
    ];
    let sources = folders
        .iter()
        .flat_map(|folder| files_below(&root().join(folder)))
        .filter(|path| has_extension(path, &["rs", "js", "mjs", "cjs"]))
        .filter(|path| !shown(path).contains("/target/"));
    let configuration = ["clippy.toml", "Cargo.toml"].map(|name| root().join(name));
    let whole = documents().into_iter().chain(configuration);
    whole
        .map(|path| (shown(&path), text_of(&path)))
        .chain(sources.map(|path| (shown(&path), comments_of(&path))))
        .collect()
}

#[test]
fn documents_and_comments_name_sources_that_are_there() {
    let mut gone = Vec::new();
    for (place, text) in prose() {
        for (_, named) in in_backticks(&text) {
            let is_path = ["src/", "js/", "tests/", "__test__/", "scripts/", "docs/"]
                .iter()
                .any(|folder| named.starts_with(folder));
            // Build output, and the folder of a failing test, are not among the sources.
            let is_made = named.starts_with("js/native");
            if is_path && !is_made && !root().join(named).exists() {
                gone.push(format!("{place}: {named}"));
            }
        }
    }
    assert!(gone.is_empty(), "not there:\n{}", gone.join("\n"));
}

/// The paths of modules in a text that begin with a layer, with or without `crate` before it: `wal::log`.
fn module_paths(text: &str) -> Vec<Vec<&str>> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let paths = text.split(|letter| !is_part(letter)).map(|word| {
        let path = word.trim_matches(':').split("::");
        path.skip_while(|part| *part == "crate").collect::<Vec<_>>()
    });
    paths
        .filter(|path| path.len() > 1 && LAYERS.contains(&path[0]))
        .collect()
}

/// True if the module is there, down to the first part of the path that is no module: that is named in code there.
fn is_there(path: &[&str]) -> bool {
    let mut folder = root().join("src");
    let mut file = folder.join("lib.rs");
    for part in path {
        let inner = folder.join(part);
        let single = folder.join(format!("{part}.rs"));
        if single.is_file() {
            file = single;
        } else if inner.is_dir() {
            file = inner.join("mod.rs");
        } else {
            return text_of(&file)
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .any(|line| words_of(line).any(|word| word == *part));
        }
        folder = inner;
    }
    true
}

fn words_of(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

#[test]
fn documents_and_comments_name_modules_that_are_there() {
    let mut gone = Vec::new();
    let mut count = 0;
    for (place, text) in prose() {
        for path in module_paths(&text) {
            count += 1;
            if !is_there(&path) {
                gone.push(format!("{place}: {}", path.join("::")));
            }
        }
    }
    assert!(count > 20, "{count} paths were found");
    assert!(gone.is_empty(), "not there:\n{}", gone.join("\n"));
}

#[test]
fn a_module_that_is_gone_is_noticed() {
    let text =
        "See [`crate::wal::log`], `std::sync::Arc`, wal::storage, and `store::entry::Entry::key`.";
    let paths: Vec<String> = module_paths(text)
        .iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(
        paths,
        ["wal::log", "wal::storage", "store::entry::Entry::key"]
    );
    assert!(is_there(&["wal", "log"]) && is_there(&["store", "entry", "Entry", "key"]));
    assert!(!is_there(&["wal", "storage"]) && !is_there(&["store", "entry", "Row"]));
}

/// Documents say "`name` in `src/lib.rs`", also of several names: each is in that file.
#[test]
fn documents_name_what_is_in_the_source_that_they_name() {
    let mut gone = Vec::new();
    let mut count = 0;
    for document in documents() {
        let text = text_of(&document);
        let mut names: Vec<&str> = Vec::new();
        let mut end = 0;
        for (at, named) in in_backticks(&text) {
            let between = text.get(end..at.saturating_sub(1)).unwrap_or_default();
            end = at + named.len() + 1;
            if named.starts_with("src/") && between == " in " {
                let source = fs::read_to_string(root().join(named)).unwrap_or_default();
                for name in names.drain(..) {
                    count += 1;
                    if !source.contains(name) {
                        gone.push(format!("{}: {name} in {named}", shown(&document)));
                    }
                }
            }
            if !matches!(between, ", " | " and ") {
                names.clear();
            }
            names.push(named);
        }
    }
    assert!(count > 20, "{count} names were found");
    assert!(gone.is_empty(), "not there:\n{}", gone.join("\n"));
}

/// The variants of an enum with explicit numbers, as `(number, name in small letters)`.
fn registry(file: &str, name: &str) -> Vec<(u32, String)> {
    let text = text_of(&root().join(file));
    let (_, rest) = text
        .split_once(&format!("enum {name} {{"))
        .unwrap_or_else(|| panic!("{file} has no {name}"));
    let (body, _) = rest.split_once("\n}").unwrap();
    let variants: Vec<(u32, String)> = body
        .lines()
        .filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = "))
        .map(|(variant, number)| (number.parse().unwrap(), variant.to_lowercase()))
        .collect();
    assert!(variants.len() > 2, "{name} in {file} was not understood");
    variants
}

#[test]
fn the_description_of_the_formats_names_every_kind() {
    let description = text_of(&root().join("docs/format.md")).to_lowercase();
    let rows: BTreeSet<(String, String)> = description
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
            Some((cells.next()?.to_owned(), cells.next()?.to_owned()))
        })
        .collect();
    let registries = [
        ("src/store/record/mod.rs", "RecordKind"),
        ("src/wal/format.rs", "FrameKind"),
        ("src/transport/wire/frame.rs", "MessageKind"),
    ];
    let mut missing = Vec::new();
    for (file, name) in registries {
        for (number, variant) in registry(file, name) {
            if !rows.contains(&(number.to_string(), variant.clone())) {
                missing.push(format!("{name}: | {number} | {variant} |"));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "docs/format.md lacks:\n{}",
        missing.join("\n")
    );
}
