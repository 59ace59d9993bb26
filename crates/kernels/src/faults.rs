//! What a driver or a browser reports outside any call: they report late.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::GpuError;

/// The loss of a device, and the first of its errors that nobody has been told yet.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    lost: Mutex<Option<String>>,
    error: Mutex<Option<GpuError>>,
}

impl Faults {
    /// Listens to `device` as long as it lives.
    pub fn of(device: &wgpu::Device) -> Arc<Faults> {
        let faults = Arc::new(Faults::default());
        let lost = faults.clone();
        device.set_device_lost_callback(move |reason, message| {
            locked(&lost.lost).get_or_insert(format!("{reason:?}: {message}"));
        });
        let errors = faults.clone();
        listen(device, move |error| {
            locked(&errors.error).get_or_insert(error);
        });
        faults
    }

    /// Why the device was lost, if it was.
    pub fn lost(&self) -> Option<String> {
        locked(&self.lost).clone()
    }

    /// The loss of the device, or the first error since the last call.
    pub fn check(&self) -> Result<(), GpuError> {
        if let Some(reason) = self.lost() {
            return Err(GpuError::Lost(reason));
        }
        match locked(&self.error).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(not(target_arch = "wasm32"))]
fn listen(device: &wgpu::Device, report: impl Fn(GpuError) + Send + Sync + 'static) {
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| report(error.into())));
}

/// wgpu would panic at the errors that browsers call internal (a driver that does not take a shader), and drops the
/// words of those of memory: here the browser itself is listened to.
#[cfg(target_arch = "wasm32")]
fn listen(device: &wgpu::Device, report: impl Fn(GpuError) + 'static) {
    use wasm_bindgen::JsValue;
    use wasm_bindgen::closure::Closure;

    let Some(device) = device.as_webgpu() else { return };
    let handler = Closure::<dyn FnMut(JsValue)>::new(move |event: JsValue| report(told(&event)));
    let device: &JsValue = device.as_ref();
    let _ = js_sys::Reflect::set(device, &"onuncapturederror".into(), handler.as_ref());
    handler.forget();
}

/// The error that a browser's event carries.
#[cfg(target_arch = "wasm32")]
fn told(event: &wasm_bindgen::JsValue) -> GpuError {
    use wasm_bindgen::JsValue;

    let part = |of: &JsValue, name: &str| js_sys::Reflect::get(of, &name.into()).unwrap_or(JsValue::UNDEFINED);
    let error = part(event, "error");
    let message = part(&error, "message").as_string().unwrap_or_default();
    match part(&part(&error, "constructor"), "name").as_string().as_deref() {
        Some("GPUOutOfMemoryError") => GpuError::OutOfMemory(message),
        _ => GpuError::Validation(message),
    }
}
