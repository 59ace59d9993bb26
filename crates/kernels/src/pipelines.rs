//! Compiled kernels, each made once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::kernel::Kernel;

/// A compiled kernel and the layout of its bindings.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    /// Binding numbers in ascending order.
    pub bindings: Vec<u32>,
}

/// By kernel, and by the threads that exchange registers.
#[derive(Debug, Default)]
pub(crate) struct Pipelines(Mutex<HashMap<(Kernel, u32), Arc<Pipeline>>>);

impl Pipelines {
    pub fn get(&self, device: &wgpu::Device, kernel: Kernel, lanes: u32) -> Arc<Pipeline> {
        let lanes = kernel.lanes(lanes);
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry((kernel, lanes)).or_insert_with(|| Arc::new(compile(device, kernel, lanes))).clone()
    }

    pub fn made(&self, lanes: u32) -> Vec<Kernel> {
        let made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.keys().filter(|(kernel, of)| *of == kernel.lanes(lanes)).map(|&(kernel, _)| kernel).collect()
    }
}

fn compile(device: &wgpu::Device, kernel: Kernel, lanes: u32) -> Pipeline {
    let source = kernel.source(lanes);
    let label = format!("{kernel:?}");
    let entries = layout_entries(&source);
    let layout =
        device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(&label), entries: &entries });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(&label),
        bind_group_layouts: &[Some(&layout)],
        ..Default::default()
    });
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(&label),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(&label),
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            // Every workgroup variable is written before it is read.
            zero_initialize_workgroup_memory: false,
            ..Default::default()
        },
        cache: None,
    });
    Pipeline { pipeline, layout, bindings: entries.iter().map(|entry| entry.binding).collect() }
}

/// The bindings that a shader declares. They are read from its text, which is the one place that says them: the shaders
/// write each declaration on one line, `@group(0) @binding(N) var<...> name: type;`.
fn layout_entries(source: &str) -> Vec<wgpu::BindGroupLayoutEntry> {
    let mut entries: Vec<wgpu::BindGroupLayoutEntry> = source
        .lines()
        .filter_map(|line| {
            let (binding, rest) = line.strip_prefix("@group(0) @binding(")?.split_once(") var<")?;
            let ty = match rest.split_once('>')?.0 {
                "uniform" => wgpu::BufferBindingType::Uniform,
                "storage, read" => wgpu::BufferBindingType::Storage { read_only: true },
                _ => wgpu::BufferBindingType::Storage { read_only: false },
            };
            Some(wgpu::BindGroupLayoutEntry {
                binding: binding.parse().ok()?,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
                count: None,
            })
        })
        .collect();
    entries.sort_by_key(|entry| entry.binding);
    entries
}
