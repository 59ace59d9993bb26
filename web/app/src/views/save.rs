//! Buttons that save what a view shows.

use crate::workbench::Workbench;
use leptos::prelude::*;
use tiller_protocol::Failure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Blob, BlobPropertyBag, CanvasRenderingContext2d, HtmlCanvasElement, HtmlImageElement, Url};

/// A button that saves `content` under `name`; nothing is made before it is asked for.
#[component]
pub fn SaveText(
    label: &'static str,
    title: &'static str,
    name: &'static str,
    content: Callback<(), String>,
) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    view! {
        <button class="plain" title=title on:click=move |_| bench.save(name, content.run(()).as_bytes())>{label}</button>
    }
}

/// A button that saves a picture, given as SVG, as pixels.
#[component]
pub fn SavePng(title: &'static str, name: &'static str, svg: Callback<(), String>) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let save = move |_| {
        let svg = svg.run(());
        spawn_local(async move {
            match pixels(&svg).await {
                Ok(bytes) => bench.save(name, &bytes),
                Err(_) => {
                    let remedy = "The browser could not draw it; save it as SVG.";
                    bench.notice(Failure::new("The picture could not be saved", remedy, false));
                }
            }
        });
    };
    view! { <button class="plain" title=title on:click=save>"PNG"</button> }
}

/// Dots of a picture for each of its units: sharp in print.
const DENSITY: f64 = 2.0;

/// The picture as a PNG file.
async fn pixels(svg: &str) -> Result<Vec<u8>, JsValue> {
    let kind = BlobPropertyBag::new();
    kind.set_type("image/svg+xml");
    let blob = Blob::new_with_str_sequence_and_options(&js_sys::Array::of1(&svg.into()), &kind)?;
    let address = Url::create_object_url_with_blob(&blob)?;
    let image = HtmlImageElement::new()?;
    image.set_src(&address);
    let drawn = JsFuture::from(image.decode()).await;
    Url::revoke_object_url(&address)?;
    drawn?;
    let document = crate::address::window().document().ok_or(JsValue::NULL)?;
    let canvas: HtmlCanvasElement = document.create_element("canvas")?.unchecked_into();
    let (width, height) = (f64::from(image.natural_width()) * DENSITY, f64::from(image.natural_height()) * DENSITY);
    canvas.set_width(width as u32);
    canvas.set_height(height as u32);
    let context: CanvasRenderingContext2d = canvas.get_context("2d")?.ok_or(JsValue::NULL)?.unchecked_into();
    context.draw_image_with_html_image_element_and_dw_and_dh(&image, 0.0, 0.0, width, height)?;
    let address = canvas.to_data_url()?;
    let encoded = address.split_once("base64,").ok_or(JsValue::NULL)?.1;
    let bytes = crate::address::window().atob(encoded)?;
    Ok(bytes.chars().map(|c| c as u8).collect())
}
