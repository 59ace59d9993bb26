//! The worker's surroundings: messages, the clock, letting others run.

use futures_channel::oneshot;
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use tiller_protocol::{Event, Request};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{DedicatedWorkerGlobalScope, MessageChannel, MessageEvent, MessagePort, Response};

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Tells the page.
pub fn send(event: Event) {
    // Numbers beyond 32 bits (byte counts) become plain JavaScript numbers, as the page's deserialiser expects.
    let serializer = serde_wasm_bindgen::Serializer::new();
    match event.serialize(&serializer) {
        Ok(message) => scope().post_message(&message).expect("a plain message can be posted"),
        Err(error) => web_sys::console::error_1(&format!("an event could not be sent: {error}").into()),
    }
}

/// Hands every request of the page to `on_request`, and says that the worker listens.
pub fn listen(mut on_request: impl FnMut(Request) + 'static) {
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
        match serde_wasm_bindgen::from_value(message.data()) {
            Ok(request) => on_request(request),
            Err(error) => web_sys::console::error_1(&format!("a request could not be read: {error}").into()),
        }
    });
    scope().set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget();
    // A panic inside a future is a rejection that nobody handles, of which the page would hear nothing: an error thrown
    // from here reaches its `onerror`.
    let on_rejection = Closure::<dyn FnMut()>::new(|| wasm_bindgen::throw_str("it failed inside"));
    let listener = on_rejection.as_ref().unchecked_ref();
    scope().add_event_listener_with_callback("unhandledrejection", listener).expect("workers have this event");
    on_rejection.forget();
    // The page must not speak before somebody listens: a message sent to a worker that still compiles would be lost.
    scope().post_message(&"listening".into()).expect("a plain message can be posted");
}

/// The bytes of a file that comes with the page, by its path from there. An error says what happened.
pub async fn fetch(path: &str) -> Result<Vec<u8>, String> {
    let failed = |_: JsValue| format!("{path} did not arrive");
    let answer = JsFuture::from(scope().fetch_with_str(path)).await.map_err(failed)?;
    let answer: Response = answer.unchecked_into();
    if !answer.ok() {
        return Err(format!("{path} was refused with status {}", answer.status()));
    }
    let body = JsFuture::from(answer.array_buffer().map_err(failed)?).await.map_err(failed)?;
    Ok(js_sys::Uint8Array::new(&body).to_vec())
}

/// Seconds since the worker began.
pub fn seconds() -> f64 {
    scope().performance().map_or(0.0, |clock| clock.now() / 1000.0)
}

/// Bytes of WebAssembly memory. It never shrinks: this is the most there has been.
pub fn heap_bytes() -> u64 {
    const PAGE: u64 = 65_536;
    core::arch::wasm32::memory_size::<0>() as u64 * PAGE
}

/// Lets the event loop run once, so that messages arrive. A message to oneself: a timer would wait for at least four
/// milliseconds.
pub async fn breathe() {
    thread_local! {
        static PORT: MessagePort = open_port();
        static WAITING: RefCell<VecDeque<oneshot::Sender<()>>> = const { RefCell::new(VecDeque::new()) };
    }
    fn open_port() -> MessagePort {
        let channel = MessageChannel::new().expect("workers have message channels");
        let wake = Closure::<dyn FnMut()>::new(|| {
            if let Some(sleeper) = WAITING.with_borrow_mut(VecDeque::pop_front) {
                // Whoever slept may have been dropped; then nobody needs waking.
                let _ = sleeper.send(());
            }
        });
        channel.port1().set_onmessage(Some(wake.as_ref().unchecked_ref()));
        wake.forget();
        channel.port2()
    }
    let (sender, receiver) = oneshot::channel();
    WAITING.with_borrow_mut(|waiting| waiting.push_back(sender));
    PORT.with(|port| port.post_message(&JsValue::NULL)).expect("a plain message can be posted");
    let _ = receiver.await;
}

/// Lets others run for so many milliseconds.
pub async fn sleep(milliseconds: i32) {
    let begin = |wake: js_sys::Function, _| {
        scope()
            .set_timeout_with_callback_and_timeout_and_arguments_0(&wake, milliseconds)
            .expect("workers have timers");
    };
    let _ = wasm_bindgen_futures::JsFuture::from(js_sys::Promise::new(&mut { begin })).await;
}

/// At most so many progress events a second reach the page.
pub struct Throttle {
    last: Cell<f64>,
}

impl Throttle {
    const INTERVAL_S: f64 = 0.05;

    pub fn new() -> Throttle {
        Throttle { last: Cell::new(f64::NEG_INFINITY) }
    }

    /// Whether it is time for another.
    pub fn open(&self) -> bool {
        let now = seconds();
        let open = now - self.last.get() >= Self::INTERVAL_S;
        if open {
            self.last.set(now);
        }
        open
    }
}
