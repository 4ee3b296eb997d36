//! Browser features that are called by name: popovers, locks, storage. If one is missing, nothing happens.

use leptos::prelude::window;
use wasm_bindgen::{JsCast, JsValue};

pub fn property(of: &JsValue, name: &str) -> Option<JsValue> {
    js_sys::Reflect::get(of, &JsValue::from_str(name))
        .ok()
        .filter(|value| !value.is_null() && !value.is_undefined())
}

pub fn set_property(of: &JsValue, name: &str, value: &JsValue) {
    let _ = js_sys::Reflect::set(of, &JsValue::from_str(name), value);
}

/// Calls a method. Returns nothing if it throws.
pub fn method(of: &JsValue, name: &str, arguments: &[JsValue]) -> Option<JsValue> {
    let function = property(of, name)?.dyn_into::<js_sys::Function>().ok()?;
    let list = js_sys::Array::new();
    for argument in arguments {
        list.push(argument);
    }
    function.apply(of, &list).ok()
}

/// A browser storage: `sessionStorage` for this tab, `localStorage` for all tabs. Some browsers refuse it.
pub struct Storage(JsValue);

impl Storage {
    pub fn open(name: &str) -> Option<Self> {
        property(&window(), name).map(Self)
    }

    pub fn get(&self, key: &str) -> Option<String> {
        method(&self.0, "getItem", &[key.into()])?.as_string()
    }

    pub fn set(&self, key: &str, value: &str) {
        method(&self.0, "setItem", &[key.into(), value.into()]);
    }

    pub fn remove(&self, key: &str) {
        method(&self.0, "removeItem", &[key.into()]);
    }
}
