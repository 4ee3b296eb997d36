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

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Every crate's code.
const SOURCES: [&str; 5] = [
    "crates/domain/src",
    "crates/store/src",
    "app/src",
    "server/src",
    "frontend/src",
];

/// Every Rust file of every crate, without tests.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in SOURCES {
        let before = found.len();
        walk(&Path::new(ROOT).join(folder), &mut found);
        assert!(found.len() > before, "{folder} was not read");
    }
    found
}

/// Lines that stand before the file's unit tests.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .filter(|line| !line.trim_start().starts_with("//"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// Cargo refuses what a crate does not name, so these lists are the layers.
#[test]
fn dependencies_point_one_way() {
    let names = |crate_path: &str, library: &str| {
        text(&format!("{crate_path}/Cargo.toml"))
            .lines()
            .skip_while(|line| *line != "[dependencies]")
            .any(|line| line.split(['.', ' ', '=']).next() == Some(library))
    };
    for library in [
        "leptos",
        "server_fn",
        "tokio",
        "axum",
        "app",
        "store",
        "server",
    ] {
        assert!(!names("crates/domain", library), "domain names {library}");
    }
    for library in [
        "leptos",
        "server_fn",
        "axum",
        "hyper",
        "lettre",
        "app",
        "server",
    ] {
        assert!(!names("crates/store", library), "store names {library}");
    }
    for upper in ["app", "server", "frontend"] {
        for library in ["sea-orm", "sea-orm-migration", "sea-query-sqlx", "sqlx"] {
            assert!(!names(upper, library), "{upper} names {library}");
        }
    }
    assert!(names("crates/store", "sea-orm"), "the files were read");
}

/// `store::db::sea_orm` exists for tests.
#[test]
fn all_sql_is_in_the_store() {
    for (path, text) in sources() {
        let path = path.strip_prefix(ROOT).unwrap();
        if path.starts_with("crates") {
            continue;
        }
        let name = path.display();
        for line in code(&text) {
            assert!(
                !["sea_orm::", "entity::", "sqlx::"]
                    .iter()
                    .any(|sql| line.contains(sql)),
                "{name}: {line}"
            );
        }
    }
}

#[test]
fn every_section_is_complete() {
    let root = Path::new(ROOT);
    for section in app::settings::SECTIONS {
        let name = section.path.replace('-', "_");
        for file in ["mod.rs", "api.rs", "page.rs"] {
            let path = root.join(format!("app/src/settings/{name}/{file}"));
            assert!(path.exists(), "{}", path.display());
        }
        for library in ["domain", "store"] {
            let file = root.join(format!("crates/{library}/src/{name}.rs"));
            let folder = root.join(format!("crates/{library}/src/{name}/mod.rs"));
            assert!(file.exists() || folder.exists(), "{}", file.display());
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
    for (path, text) in sources() {
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
    for (path, text) in sources() {
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
