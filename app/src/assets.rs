//! What a page loads: its stylesheet, and the program that brings it to life.
//!
//! The release build puts a hash of its contents into each file's name and lists the names beside the server. Leptos's
//! own components read that list from the disk twice for every page; here it is read once.

use std::sync::OnceLock;

use leptos::nonce::use_nonce;
use leptos::prelude::*;

/// The addresses of what every page loads.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Addresses {
    style: String,
    script: String,
    wasm: String,
}

impl Addresses {
    fn of(options: &LeptosOptions) -> Self {
        static KNOWN: OnceLock<Addresses> = OnceLock::new();
        let read = || Self::listed(options, &read_list(options));
        // While developing, files change under the running server.
        if std::env::var_os("LEPTOS_WATCH").is_some() {
            return read();
        }
        KNOWN.get_or_init(read).clone()
    }

    /// `list` has a line for each kind of file, such as `css: R92K2DNf`.
    fn listed(options: &LeptosOptions, list: &str) -> Self {
        let address = |kind: &str| {
            let hash = list
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(listed, _)| listed.trim() == kind)
                .map(|(_, hash)| format!(".{}", hash.trim()))
                .unwrap_or_default();
            let (folder, name) = (&options.site_pkg_dir, &options.output_name);
            format!("/{folder}/{name}{hash}.{kind}")
        };
        Self {
            style: address("css"),
            script: address("js"),
            wasm: address("wasm"),
        }
    }
}

fn read_list(options: &LeptosOptions) -> String {
    if !options.hash_files {
        return String::new();
    }
    std::env::current_exe()
        .ok()
        .and_then(|program| Some(program.parent()?.join(options.hash_file.as_ref())))
        .and_then(|list| std::fs::read_to_string(list).ok())
        .unwrap_or_default()
}

/// The links and the script of a page's head. Script and WASM are fetched side by side.
#[component]
pub fn Assets(options: LeptosOptions) -> impl IntoView {
    let Addresses {
        style,
        script,
        wasm,
    } = Addresses::of(&options);
    let nonce = use_nonce();
    let start = format!(
        "import({script:?}).then(program => program.default({{ module_or_path: {wasm:?} }}).then(() => program.hydrate()))"
    );
    view! {
        <link id="style" rel="stylesheet" href=style/>
        <link rel="modulepreload" href=script crossorigin=nonce.clone()/>
        <link rel="preload" href=wasm r#as="fetch" r#type="application/wasm" crossorigin=nonce.clone()/>
        <script type="module" nonce=nonce>{start}</script>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_as_the_list_says() {
        let options = LeptosOptions::builder().output_name("wheelhouse").build();
        let list = "js: 6c9F-J\nwasm: -tuVDJ\ncss: R92K2D\nmanifest: -02gIl\n";
        let hashed = Addresses::listed(&options, list);
        assert_eq!(hashed.style, "/pkg/wheelhouse.R92K2D.css");
        assert_eq!(hashed.script, "/pkg/wheelhouse.6c9F-J.js");
        assert_eq!(hashed.wasm, "/pkg/wheelhouse.-tuVDJ.wasm");
        assert_eq!(Addresses::listed(&options, "").style, "/pkg/wheelhouse.css");
    }
}
