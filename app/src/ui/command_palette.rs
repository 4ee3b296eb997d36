//! Ctrl-K or ⌘-K: every page and every action by name.

use leptos::ev::KeyboardEvent;
use leptos::html;
use leptos::prelude::*;
use leptos_router::hooks::use_navigate;

use super::icon::{Icon, icon};

/// Something that can be gone to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub label: String,
    pub hint: &'static str,
    pub path: String,
}

#[component]
pub fn CommandPalette(#[prop(into)] commands: Signal<Vec<Command>>) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let input = NodeRef::<html::Input>::new();
    let query = RwSignal::new(String::new());
    let chosen = RwSignal::new(0_usize);
    let found = Memo::new(move |_| {
        let query = query.get().to_lowercase();
        let words: Vec<&str> = query.split_whitespace().collect();
        commands
            .get()
            .into_iter()
            .filter(|command| {
                let text = format!("{} {}", command.label, command.hint).to_lowercase();
                words.iter().all(|word| text.contains(word))
            })
            .collect::<Vec<_>>()
    });
    let open = move || {
        if let Some(dialog) = dialog.get_untracked()
            && !dialog.open()
        {
            query.set(String::new());
            chosen.set(0);
            let _ = dialog.show_modal();
            if let Some(input) = input.get_untracked() {
                input.set_value("");
                let _ = input.focus();
            }
        }
    };
    let close = move || {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    let navigate = use_navigate();
    let go = move |index: usize| {
        if let Some(command) = found.get_untracked().get(index) {
            close();
            navigate(&command.path, leptos_router::NavigateOptions::default());
        }
    };
    let shortcut = window_event_listener(leptos::ev::keydown, move |event: KeyboardEvent| {
        if (event.ctrl_key() || event.meta_key()) && event.key().eq_ignore_ascii_case("k") {
            event.prevent_default();
            open();
        }
    });
    on_cleanup(move || shortcut.remove());
    let on_key = {
        let go = go.clone();
        move |event: KeyboardEvent| {
            let last = found.with_untracked(Vec::len).saturating_sub(1);
            match event.key().as_str() {
                "ArrowDown" => chosen.update(|n| *n = (*n + 1).min(last)),
                "ArrowUp" => chosen.update(|n| *n = n.saturating_sub(1)),
                "Enter" => go(chosen.get_untracked()),
                _ => return,
            }
            event.prevent_default();
        }
    };
    view! {
        <button type="button" class="palette-button script-only" aria-label="Search" on:click=move |_| open()>
            {icon(Icon::Search)}<span>"Search"</span><kbd class="kbd" aria-hidden="true">"Ctrl K"</kbd>
        </button>
        <dialog class="palette" node_ref=dialog aria-label="Go to">
            <input
                node_ref=input
                class="input"
                type="text"
                role="combobox"
                aria-expanded="true"
                aria-controls="palette-list"
                aria-activedescendant=move || format!("palette-{}", chosen.get())
                aria-label="Go to page or action"
                placeholder="Go to page or action"
                autocomplete="off"
                on:input:target=move |event| { query.set(event.target().value()); chosen.set(0); }
                on:keydown=on_key
            />
            <ul class="palette-list" id="palette-list" role="listbox" aria-label="Pages and actions">
                {move || {
                    let go = go.clone();
                    found.get().into_iter().enumerate().map(move |(index, command)| {
                        let go = go.clone();
                        view! {
                            <li
                                id=format!("palette-{index}")
                                role="option"
                                aria-selected=move || (chosen.get() == index).to_string()
                                on:click=move |_| go(index)
                            >
                                <span>{command.label}</span><span class="palette-hint">{command.hint}</span>
                            </li>
                        }
                    }).collect_view()
                }}
            </ul>
        </dialog>
    }
}
