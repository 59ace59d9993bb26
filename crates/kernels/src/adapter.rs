//! Choosing a graphics adapter, and opening it.

use crate::error::GpuError;

/// What the device is, in words a person can check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterSummary {
    pub name: String,
    pub backend: String,
    /// The driver and its version; browsers keep that to themselves, and then it is empty.
    pub driver: String,
    /// The "GPU" is a program on the CPU: right, but slow.
    pub software: bool,
}

/// What a device lacks, to test how that is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handicap {
    /// The limits that every adapter of a browser has: bindings of 128 MiB, eight buffers a kernel.
    LeastLimits,
    /// The adapter refuses the limits that it claims to have.
    LimitsRefused,
    /// It refuses any.
    AllLimitsRefused,
    /// It has no subgroups.
    NoSubgroups,
}

impl AdapterSummary {
    pub(crate) fn of(info: &wgpu::AdapterInfo, device: &wgpu::Device) -> AdapterSummary {
        const SOFTWARE: [&str; 6] = ["swiftshader", "llvmpipe", "lavapipe", "softpipe", "warp", "basic render"];
        let name = name(info, device);
        let names = format!("{name} {} {}", info.driver, info.driver_info).to_lowercase();
        AdapterSummary {
            name,
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            backend: format!("{:?}", info.backend),
            software: info.device_type == wgpu::DeviceType::Cpu || SOFTWARE.iter().any(|name| names.contains(name)),
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn name(info: &wgpu::AdapterInfo, _device: &wgpu::Device) -> String {
    info.name.clone()
}

/// Browsers keep the description to themselves, and tell at most the vendor and the architecture.
#[cfg(target_arch = "wasm32")]
fn name(info: &wgpu::AdapterInfo, device: &wgpu::Device) -> String {
    let told = device.as_webgpu().map(|device| {
        let info = device.adapter_info();
        format!("{} {}", info.vendor(), info.architecture()).trim().to_owned()
    });
    let known = [Some(info.name.clone()), told].into_iter().flatten().find(|name| !name.is_empty());
    known.unwrap_or_else(|| "an unnamed adapter".to_owned())
}

/// The adapter that the environment variable `TILLER_ADAPTER` names by a part of its name, or else the fastest one.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) async fn choose() -> Result<wgpu::Adapter, GpuError> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    if let Ok(wanted) = std::env::var("TILLER_ADAPTER") {
        let adapters = instance.enumerate_adapters(wgpu::Backends::all()).await;
        let matches = |info: &wgpu::AdapterInfo| info.name.to_lowercase().contains(&wanted.to_lowercase());
        let names: Vec<String> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
        return adapters.into_iter().find(|adapter| matches(&adapter.get_info())).ok_or_else(|| {
            GpuError::DeviceRefused(format!("TILLER_ADAPTER is {wanted:?}, and the adapters are {names:?}"))
        });
    }
    instance.request_adapter(&fastest()).await.map_err(|_| GpuError::NoAdapter)
}

#[cfg(target_arch = "wasm32")]
pub(crate) async fn choose() -> Result<wgpu::Adapter, GpuError> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    instance.request_adapter(&fastest()).await.map_err(|_| GpuError::NoWebGpu)
}

fn fastest() -> wgpu::RequestAdapterOptions<'static, 'static> {
    wgpu::RequestAdapterOptions { power_preference: wgpu::PowerPreference::HighPerformance, ..Default::default() }
}

/// What every adapter of a browser has, or less where this adapter has less.
pub(crate) fn least_of(own: &wgpu::Limits) -> wgpu::Limits {
    wgpu::Limits::default().or_worse_values_from(own)
}

/// The features that are of use, where the adapter has them. A browser's adapter never says that it has subgroups: wgpu
/// knows no name there to ask for them by.
pub(crate) fn useful(own: wgpu::Features) -> wgpu::Features {
    own & wgpu::Features::SUBGROUP
}

/// Threads that every subgroup on the device has at least, however its driver sizes them; 1 where it has none.
pub(crate) fn subgroup_lanes(info: &wgpu::AdapterInfo, granted: wgpu::Features) -> u32 {
    let least = info.subgroup_min_size;
    let usable = granted.contains(wgpu::Features::SUBGROUP) && least.is_power_of_two() && least >= 4;
    if usable { least } else { 1 }
}

/// The device, with the first of these features and limits that the adapter grants.
pub(crate) async fn request(
    adapter: &wgpu::Adapter,
    wanted: &[(wgpu::Features, wgpu::Limits)],
) -> Result<(wgpu::Device, wgpu::Queue), GpuError> {
    let mut refusal = String::new();
    for (features, limits) in wanted {
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("tiller"),
            required_features: *features,
            required_limits: limits.clone(),
            ..Default::default()
        };
        match adapter.request_device(&descriptor).await {
            Ok(opened) => return Ok(opened),
            Err(error) => refusal = error.to_string(),
        }
    }
    Err(GpuError::DeviceRefused(refusal))
}
