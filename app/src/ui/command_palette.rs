//! The command palette (Ctrl-K or ⌘-K): every page and action by name. The button is on every page; the dialog's code
//! is fetched when it is first needed.

use std::future::Future;

use leptos::ev::KeyboardEvent;
use leptos::html;
use leptos::prelude::*;
use leptos_router::hooks::use_navigate;
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use super::deferred::deferred;
use super::icon::{Icon, icon};
use super::js_interop::method;
use super::unsaved::{leads_away, may_leave};
use super::view::view;

/// A page or action in the palette.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub label: String,
    pub hint: &'static str,
    pub target: Target,
}

/// What choosing a command does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Opens a page, or a section on it.
    Page(String),
    /// Downloads a file.
    File(String),
    /// Clicks the element that this selector finds.
    Button(&'static str),
}

/// The request to open the dialog, with what was typed since: people who press the shortcut keep typing.
pub type PaletteQuery = RwSignal<Option<String>>;

/// Stands for Enter in what was typed.
const CHOOSE: char = '\n';

/// The button and the shortcut. `dialog` fetches a [`PaletteDialog`].
#[component]
pub fn CommandPalette<F, Fut>(dialog: F) -> impl IntoView
where
    F: Fn(PaletteQuery) -> Fut + Send + 'static,
    Fut: Future<Output = AnyView> + 'static,
{
    let asked = PaletteQuery::new(None);
    let wanted = Memo::new(move |before| asked.with(Option::is_some) || before == Some(&true));
    let shortcut_label = RwSignal::new("Ctrl K");
    on_shortcut(asked);
    name_shortcut(shortcut_label);
    view! {
        <button type="button" class="palette-button script-only" aria-label="Search" on:click=move |_| open(asked)>
            {icon(Icon::Search)}<span>"Search"</span><kbd class="kbd" aria-hidden="true">{shortcut_label}</kbd>
        </button>
        {move || wanted.get().then(|| deferred(dialog(asked), || ().into_any()))}
    }
}

/// The dialog, which opens when it is requested.
#[component]
pub fn PaletteDialog(
    #[prop(into)] commands: Signal<Vec<Command>>,
    asked: PaletteQuery,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let input = NodeRef::<html::Input>::new();
    let query = RwSignal::new(String::new());
    let chosen = RwSignal::new(0_usize);
    let found = Memo::new(move |_| query.with(|query| matching(query, commands.get())));
    let nothing = Memo::new(move |_| found.with(Vec::is_empty));
    let close = move || {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    let navigate = use_navigate();
    let go = move |index: usize| {
        let Some(command) = found.with_untracked(|found| found.get(index).cloned()) else {
            return;
        };
        close();
        match command.target {
            Target::Page(path) => {
                if !leads_away(&path) || may_leave() {
                    navigate(&path, leptos_router::NavigateOptions::default());
                }
            }
            Target::File(path) => fetch_file(&path),
            Target::Button(selector) => press(selector),
        }
    };
    Effect::new({
        let go = go.clone();
        move || {
            if let Some(typed) = just_opened(asked, dialog) {
                let (text, chooses) = match typed.split_once(CHOOSE) {
                    Some((text, _)) => (text, true),
                    None => (typed.as_str(), false),
                };
                query.set(text.to_owned());
                chosen.set(0);
                start_with(input, text);
                if chooses {
                    go(0);
                }
            }
        }
    });
    keep_in_sight(chosen);
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
        <dialog class="palette" node_ref=dialog aria-label="Command palette">
            <div class="palette-head">
            <input
                node_ref=input
                class="input"
                type="text"
                role="combobox"
                aria-expanded=move || (!nothing.get()).to_string()
                aria-controls="palette-list"
                aria-activedescendant=move || (!nothing.get()).then(|| option_id(chosen.get()))
                aria-label="Search pages and actions"
                placeholder="Search pages and actions…"
                autocomplete="off"
                on:input:target=move |event| { query.set(event.target().value()); chosen.set(0); }
                on:keydown=on_key
            />
            <button type="button" class="icon-button" aria-label="Close" data-closes="true">{icon(Icon::X)}</button>
            </div>
            <ul class="palette-list" id="palette-list" role="listbox" aria-label="Pages and actions" hidden=move || nothing.get()>
                {move || {
                    let go = go.clone();
                    found.get().into_iter().enumerate().map(move |(index, command)| {
                        let go = go.clone();
                        view! {
                            <li
                                id=option_id(index)
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
            <p class="palette-empty" aria-live="polite">{move || nothing.get().then(|| format!("No results for “{}”", query.get()))}</p>
        </dialog>
    }
}

/// Opens the dialog if it was requested and is not open, and returns what was typed since.
fn just_opened(asked: PaletteQuery, dialog: NodeRef<html::Dialog>) -> Option<String> {
    if !asked.with(Option::is_some) {
        return None;
    }
    let dialog = dialog.get()?;
    let typed = asked.write_untracked().take()?;
    if dialog.open() {
        return None;
    }
    let _ = dialog.show_modal();
    Some(typed)
}

fn start_with(input: NodeRef<html::Input>, text: &str) {
    if let Some(input) = input.get_untracked() {
        input.set_value(text);
        let _ = input.focus();
    }
}

/// The commands that contain every word of the query.
fn matching(query: &str, commands: Vec<Command>) -> Vec<Command> {
    if query.is_empty() {
        return commands;
    }
    let query = lower(query);
    let words: Vec<&str> = query.split_whitespace().collect();
    commands
        .into_iter()
        .filter(|command| {
            let text = lower(&format!("{} {}", command.label, command.hint));
            words.iter().all(|word| text.contains(word))
        })
        .collect()
}

/// Lower case by the browser's own tables; Rust's tables would have to be downloaded. Nobody types on the server.
fn lower(text: &str) -> String {
    js_sys::JsString::from(text).to_lower_case().into()
}

fn open(asked: PaletteQuery) {
    asked.update(|asked| {
        asked.get_or_insert_default();
    });
}

fn on_shortcut(asked: PaletteQuery) {
    let shortcut = window_event_listener(leptos::ev::keydown, move |event: KeyboardEvent| {
        let key = event.key();
        if event.ctrl_key() || event.meta_key() {
            if key.eq_ignore_ascii_case("k") {
                event.prevent_default();
                open(asked);
            }
        } else if let Some(typed) = asked.write_untracked().as_mut() {
            // The dialog is still loading. Keys that type nothing have longer names.
            event.prevent_default();
            match key.as_str() {
                "Enter" => typed.push(CHOOSE),
                key if key.chars().count() == 1 => typed.push_str(key),
                _ => {}
            }
        }
    });
    on_cleanup(move || shortcut.remove());
}

/// The shortcut for the reader's keyboard.
fn name_shortcut(label: RwSignal<&'static str>) {
    Effect::new(move || {
        let platform = window().navigator().platform();
        if platform.is_ok_and(|platform| platform.starts_with("Mac")) {
            label.set("⌘K");
        }
    });
}

fn option_id(index: usize) -> String {
    format!("palette-{index}")
}

/// Scrolls the chosen option into view.
fn keep_in_sight(chosen: RwSignal<usize>) {
    Effect::new(move || {
        let id = option_id(chosen.get());
        // After it is drawn.
        request_animation_frame(move || {
            if let Some(option) = document().get_element_by_id(&id) {
                let how = js_sys::Object::new();
                let _ = js_sys::Reflect::set(&how, &"block".into(), &"nearest".into());
                method(&option, "scrollIntoView", &[how.into()]);
            }
        });
    });
}

fn press(selector: &str) {
    if let Ok(Some(button)) = document().query_selector(selector)
        && let Some(button) = button.dyn_ref::<HtmlElement>()
    {
        button.click();
    }
}

/// Uses a link, because navigating directly would count as leaving the page.
fn fetch_file(path: &str) {
    if let Ok(link) = document().create_element("a")
        && let Some(link) = link.dyn_ref::<HtmlElement>()
    {
        let _ = link.set_attribute("href", path);
        let _ = link.set_attribute("download", "");
        link.click();
    }
}
