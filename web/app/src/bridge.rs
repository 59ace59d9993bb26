//! The line to the worker.

use js_sys::JsString;
use serde::Serialize;
use std::cell::RefCell;
use tiller_protocol::{Event, Request};
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, MessageEvent, Worker};

/// Where the build puts the worker's start.
const LOADER: &str = "./tiller-worker_loader.js";

/// What the worker says when it can be spoken to.
const LISTENING: &str = "listening";

/// What comes from the worker.
pub enum Incoming {
    Listening,
    Event(Box<Event>),
    /// The worker is gone, and why.
    Crashed(String),
}

struct Line {
    worker: Worker,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(ErrorEvent)>,
}

thread_local! {
    static LINE: RefCell<Option<Line>> = const { RefCell::new(None) };
}

/// Starts a worker; the one before, if any, ends at once and its memory is free.
pub fn start(on_incoming: impl Fn(Incoming) + Clone + 'static) -> Result<(), String> {
    LINE.with_borrow_mut(|line| {
        if let Some(old) = line.take() {
            old.worker.terminate();
        }
    });
    let worker = Worker::new(LOADER).map_err(|error| format!("{error:?}"))?;
    let told = on_incoming.clone();
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
        let data = message.data();
        if data.dyn_ref::<JsString>().is_some_and(|text| *text == LISTENING) {
            told(Incoming::Listening);
            return;
        }
        match serde_wasm_bindgen::from_value::<Event>(data) {
            Ok(event) => told(Incoming::Event(Box::new(event))),
            Err(error) => web_sys::console::error_1(&format!("an event could not be read: {error}").into()),
        }
    });
    let on_error = Closure::<dyn FnMut(ErrorEvent)>::new(move |error: ErrorEvent| {
        on_incoming(Incoming::Crashed(error.message()));
    });
    worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
    LINE.set(Some(Line { worker, _on_message: on_message, _on_error: on_error }));
    Ok(())
}

/// Tells the worker, which must be listening.
pub fn send(request: &Request) {
    let message = request.serialize(&serde_wasm_bindgen::Serializer::new());
    LINE.with_borrow(|line| match (line, message) {
        (Some(line), Ok(message)) => {
            if let Err(error) = line.worker.post_message(&message) {
                web_sys::console::error_1(&error);
            }
        }
        (_, message) => {
            web_sys::console::error_1(&format!("a request could not be sent: {:?}", message.err()).into());
        }
    });
}
