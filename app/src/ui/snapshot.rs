//! Remembers a form's values when it was posted, and resets them after it was accepted.

use wasm_bindgen::JsCast;
use web_sys::{
    Element, FormData, HtmlFormElement, HtmlInputElement, HtmlOptionElement, HtmlSelectElement,
    HtmlTextAreaElement, UrlSearchParams,
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

/// What a form would post, except passwords.
pub fn typed_in(form: &HtmlFormElement) -> String {
    let Some(fields) = FormData::new_with_form(form)
        .ok()
        .and_then(|data| UrlSearchParams::new_with_str_sequence_sequence(&data).ok())
    else {
        return String::new();
    };
    for (element, control) in controls(form) {
        if matches!(control, Control::Input(input) if input.type_() == "password") {
            fields.delete(&name_of(&element));
        }
    }
    String::from(fields.to_string())
}

/// Sets a form's controls to what [`typed_in`] returned. Returns whether it was this form: its key is the same.
pub fn fill(form: &HtmlFormElement, typed: &str) -> bool {
    let Ok(fields) = UrlSearchParams::new_with_str(typed) else {
        return false;
    };
    let key = form.query_selector("[name=_form]").ok().flatten();
    if key.and_then(|key| key.get_attribute("value")) != fields.get(FORM_KEY) {
        return false;
    }
    let mut taken: Vec<String> = Vec::new();
    for (element, control) in controls(form) {
        let name = name_of(&element);
        let all = fields.get_all(&name);
        if matches!(control, Control::Check(_)) {
            let value = element.get_attribute("value").unwrap_or_default();
            control.set(&all.includes(&value.into(), 0).to_string());
        } else {
            // Of several fields with one name, each gets its own value.
            let index = taken.iter().filter(|other| **other == name).count();
            if let Some(value) = all
                .get(u32::try_from(index).unwrap_or_default())
                .as_string()
            {
                control.set(&value);
            }
            taken.push(name);
        }
    }
    true
}

/// The hidden field that tells forms with the same action apart.
const FORM_KEY: &str = "_form";

fn name_of(element: &Element) -> String {
    element.get_attribute("name").unwrap_or_default()
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
