//! The system's clipboard.

use crate::address::window;
use wasm_bindgen_futures::JsFuture;

/// Copies a text; `false` where the browser has no clipboard for this page, or refuses it.
pub async fn copy(text: &str) -> bool {
    let clipboard = window().navigator().clipboard();
    !clipboard.is_undefined() && JsFuture::from(clipboard.write_text(text)).await.is_ok()
}
