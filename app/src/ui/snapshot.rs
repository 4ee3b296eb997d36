//! Remembers a form's values when it was posted, and resets them after it was accepted.

use wasm_bindgen::JsCast;
use web_sys::{
    Element, HtmlFormElement, HtmlInputElement, HtmlOptionElement, HtmlSelectElement,
    HtmlTextAreaElement,
};

use crate::ui::form_state::NOT_YET;

/// A form control whose value is typed or chosen.
enum Control {
    /// A text field, and whether its text is cleared after the form is accepted.
    Input(HtmlInputElement),
    Check(HtmlInputElement),
    Area(HtmlTextAreaElement),
    Select(HtmlSelectElement),
}

impl Control {
    fn of(element: Element) -> Option<Self> {
        let element = match element.dyn_into::<HtmlInputElement>() {
            Ok(input) => {
                return match input.type_().as_str() {
                    "hidden" | "submit" | "button" | "file" => None,
                    "checkbox" | "radio" => Some(Self::Check(input)),
                    _ => Some(Self::Input(input)),
                };
            }
            Err(element) => element,
        };
        let element = match element.dyn_into::<HtmlTextAreaElement>() {
            Ok(area) => return Some(Self::Area(area)),
            Err(element) => element,
        };
        element.dyn_into().ok().map(Self::Select)
    }

    fn value(&self) -> String {
        match self {
            Self::Input(input) => input.value(),
            Self::Check(input) => input.checked().to_string(),
            Self::Area(area) => area.value(),
            Self::Select(select) => select.value(),
        }
    }

    fn set(&self, value: &str) {
        match self {
            Self::Input(input) => {
                let caret = input.selection_start().ok().flatten();
                input.set_value(value);
                if let Some(caret) = caret {
                    // Setting the text moves the caret to its end, and not every field type has a caret.
                    let _ = input.set_selection_range(caret, caret);
                }
            }
            Self::Check(input) => input.set_checked(value == "true"),
            Self::Area(area) => {
                let caret = area.selection_start().ok().flatten();
                area.set_value(value);
                if let Some(caret) = caret {
                    let _ = area.set_selection_range(caret, caret);
                }
            }
            Self::Select(select) => select.set_value(value),
        }
    }

    /// Makes this the untouched value. Passwords are cleared, as is text if the form is `clear`ed; values that take
    /// effect later go back to what is stored.
    fn rest_at(&self, value: &str, clear: bool) {
        match self {
            Self::Input(input) => {
                if !clear && input.type_() != "password" && !input.has_attribute(NOT_YET) {
                    input.set_default_value(value);
                }
            }
            Self::Check(input) => input.set_default_checked(value == "true"),
            Self::Area(area) => {
                if !clear {
                    let _ = area.set_default_value(value);
                }
            }
            Self::Select(select) => choose_by_default(select, value),
        }
    }
}

fn controls(form: &HtmlFormElement) -> impl Iterator<Item = (Element, Control)> {
    let elements = form.elements();
    (0..elements.length())
        .filter_map(move |index| elements.item(index))
        .filter_map(|element| Some((element.clone(), Control::of(element)?)))
}

/// What is typed or chosen in a form, except passwords, as one text.
pub fn typed_in(form: &HtmlFormElement) -> String {
    let fields: Vec<(String, String)> = controls(form)
        .filter(|(element, _)| element.get_attribute("type").as_deref() != Some("password"))
        .map(|(element, control)| (identity(&element), control.value()))
        .collect();
    serde_urlencoded::to_string(fields).unwrap_or_default()
}

/// Sets a form's controls to what [`typed_in`] returned.
pub fn fill(form: &HtmlFormElement, typed: &str) {
    let mut typed: Vec<(String, String)> = serde_urlencoded::from_str(typed).unwrap_or_default();
    for (element, control) in controls(form) {
        let name = identity(&element);
        if let Some(at) = typed.iter().position(|(field, _)| *field == name) {
            control.set(&typed.remove(at).1);
        }
    }
}

/// Identifies a control in its form. Checkboxes of one list have the same name and different values.
fn identity(element: &Element) -> String {
    let name = element.get_attribute("name").unwrap_or_default();
    match element.get_attribute("type").as_deref() {
        Some("checkbox" | "radio") => {
            format!(
                "{name}={}",
                element.get_attribute("value").unwrap_or_default()
            )
        }
        _ => name,
    }
}

/// The value of each control when the form was posted.
pub struct FormSnapshot(Vec<(Control, String)>);

impl FormSnapshot {
    pub fn of(form: &HtmlFormElement) -> Self {
        let values = controls(form).map(|(_, control)| {
            let value = control.value();
            (control, value)
        });
        Self(values.collect())
    }

    /// Makes the saved values the form's new untouched state. What was typed or chosen during the request was not
    /// saved, and stays as it is.
    pub fn settle(&self, form: &HtmlFormElement, clear: bool) {
        let mut since = Vec::new();
        for (control, posted) in &self.0 {
            let now = control.value();
            control.rest_at(posted, clear);
            if now != *posted {
                since.push((control, now));
            }
        }
        form.reset();
        for (control, value) in since {
            control.set(&value);
        }
    }
}

/// Makes an option of a select the one that a reset chooses.
fn choose_by_default(select: &HtmlSelectElement, value: &str) {
    for option in options(select) {
        option.set_default_selected(option.value() == value);
    }
}

fn options(select: &HtmlSelectElement) -> impl Iterator<Item = HtmlOptionElement> {
    let options = select.options();
    (0..options.length())
        .filter_map(move |index| options.item(index))
        .filter_map(|option| option.dyn_into().ok())
}

/// Lets a select follow the stored value, as long as nothing else is chosen.
pub fn follow_stored(select: &HtmlSelectElement, stored: &str) {
    let chosen = select.value();
    let resting = options(select)
        .find(HtmlOptionElement::default_selected)
        .or_else(|| options(select).next());
    let is_touched = resting.is_some_and(|option| option.value() != chosen);
    choose_by_default(select, stored);
    // Also what is chosen: an option that becomes the default may have taken over.
    let wanted = if is_touched { &chosen } else { stored };
    if options(select).any(|option| option.value() == *wanted) {
        select.set_value(wanted);
    }
}
