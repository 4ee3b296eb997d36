//! Conventions that matter, read from the tree itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    walk(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
        &mut found,
    );
    assert!(found.len() > 50, "the tree was not read");
    found
}

/// Lines that stand before the file's unit tests.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn domain_and_models_know_neither_pages_nor_tables() {
    for (path, text) in sources() {
        let name = path.to_string_lossy().into_owned();
        if !(name.contains("/domain/") || name.contains("/catalog/") || name.ends_with("model.rs"))
        {
            continue;
        }
        for line in code(&text) {
            assert!(!line.contains("leptos"), "{name}: {line}");
            assert!(
                !line.contains("sea_orm") || line.contains("cfg_attr(feature = \"ssr\""),
                "{name}: {line}"
            );
        }
    }
}

#[test]
fn sections_do_not_reach_into_each_other() {
    let sections = [
        "account",
        "api_keys",
        "billing",
        "credits",
        "members",
        "notifications",
        "webhooks",
        "workspace",
    ];
    for (path, text) in sources() {
        let name = path.to_string_lossy().into_owned();
        let Some(own) = sections
            .iter()
            .find(|section| name.contains(&format!("/settings/{section}/")))
        else {
            continue;
        };
        for line in code(&text) {
            for other in sections.iter().filter(|other| other != &own) {
                for private in ["store", "page"] {
                    assert!(
                        !line.contains(&format!("settings::{other}::{private}")),
                        "{name}: {line}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_section_is_complete() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/settings"));
    for section in app::settings::SECTIONS {
        for file in ["mod.rs", "model.rs", "api.rs", "page.rs", "store.rs"] {
            assert!(
                root.join(section.path.replace('-', "_"))
                    .join(file)
                    .exists(),
                "{}/{file}",
                section.path
            );
        }
    }
}

#[test]
fn every_section_has_its_page() {
    for section in app::settings::SECTIONS {
        let path = format!("/w/acme/settings/{}", section.path);
        assert!(app::pages::Page::at(&path).is_some(), "{path}");
    }
}

/// Leptos's own `view!` would be compiled anew for every shape of view: see `ui/view.rs`.
#[test]
fn views_are_of_one_type() {
    for (path, text) in sources() {
        if text.contains("view! {") && !path.ends_with("ui/view.rs") {
            let named = ["::view;", ", view,", ", view}", " view,"];
            assert!(
                named.iter().any(|named| text.contains(named)),
                "{}: use crate::ui::view",
                path.display()
            );
        }
    }
}

#[test]
fn exceptions_to_lints_say_why() {
    for (path, text) in sources() {
        for line in code(&text) {
            assert!(
                !line.contains("#[allow("),
                "{}: use #[expect(…, reason = …)]: {line}",
                path.display()
            );
        }
    }
}

/// A folder of this workspace, with its Rust files.
fn files_under(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(folder);
    let mut found = Vec::new();
    walk(&root, &mut found);
    assert!(!found.is_empty(), "{folder} was not read");
    found
}

/// Names that this project used before it took the standard terms (STYLE.md).
const RETIRED: [&str; 36] = [
    "addressee",
    "carriers",
    "courier",
    "dialler",
    "doorway",
    "handover",
    "hand_over",
    "house",
    "keyring",
    "letter_",
    "KeyHolder",
    "KeyFacts",
    "Surroundings",
    "Breadth",
    "Shipment",
    "Addressee",
    "Courier",
    "Dialler",
    "Doorway",
    "Handover",
    "House",
    "Keyring",
    "blocked_until",
    "about_user_id",
    "webhook_hours",
    "credit_days",
    "credit_parts",
    "low_mark",
    "anchor_at",
    "LONGEST_",
    "LARGEST_",
    "MOST_",
    "SLOWEST_ANSWER",
    "thaw",
    "require_sight",
    "actor_now",
];

#[test]
fn retired_words_do_not_come_back() {
    for folder in ["app/src", "server/src", "frontend/src"] {
        for (path, text) in files_under(folder) {
            // Migrations stay as they were applied.
            if path.to_string_lossy().contains("/migration/") {
                continue;
            }
            for (number, line) in text.lines().enumerate() {
                for word in RETIRED {
                    let is_part = |c: char| c.is_alphanumeric() || c == '_';
                    let found = line.match_indices(word).find(|(at, _)| {
                        let after = &line[at + word.len()..];
                        !line[..*at].ends_with(is_part)
                            && (word.ends_with('_') || !after.starts_with(is_part))
                    });
                    assert!(
                        found.is_none(),
                        "{}:{}: {word}: see STYLE.md",
                        path.display(),
                        number + 1
                    );
                }
            }
        }
    }
}

#[test]
fn public_types_have_names_of_their_own() {
    // What sea-orm asks of every entity, and `step!` of every migration.
    let generated = [
        "ActiveModel",
        "Column",
        "Entity",
        "Migration",
        "Model",
        "PrimaryKey",
        "Relation",
    ];
    let mut defined: BTreeMap<String, PathBuf> = BTreeMap::new();
    for folder in ["app/src", "server/src", "frontend/src"] {
        for (path, text) in files_under(folder) {
            for line in code(&text) {
                let Some(rest) = line.trim_start().strip_prefix("pub ") else {
                    continue;
                };
                let keyword = ["struct ", "enum ", "trait ", "type "];
                let Some(rest) = keyword
                    .iter()
                    .find_map(|keyword| rest.strip_prefix(keyword))
                else {
                    continue;
                };
                let name: String = rest
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                // A macro gives others their names.
                if name.is_empty() || generated.contains(&name.as_str()) {
                    continue;
                }
                if let Some(first) = defined.insert(name.clone(), path.clone()) {
                    panic!(
                        "{name} is defined in {} and in {}",
                        first.display(),
                        path.display()
                    );
                }
            }
        }
    }
}
