//! Asking the browser not to delete what the page stores when its disk fills up.

use crate::address::window;
use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

/// Whether the browser keeps the page's files until the user deletes them; `None` where it does not say.
pub async fn is_kept() -> Option<bool> {
    answer(|storage| storage.persisted()).await
}

/// Asks it to. Some browsers decide by themselves, others ask the user.
pub async fn ask_to_keep() -> Option<bool> {
    answer(|storage| storage.persist()).await
}

async fn answer(ask: impl FnOnce(web_sys::StorageManager) -> Result<Promise, JsValue>) -> Option<bool> {
    let storage = window().navigator().storage();
    // Pages that were not sent over a safe connection have none.
    if storage.is_undefined() {
        return None;
    }
    JsFuture::from(ask(storage).ok()?).await.ok()?.as_bool()
}
