// y[r] = x[r] - v
struct Dims {
    width: u32,
    y_stride: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
// [rows, width]
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = across(group, groups) * 64u + thread;
    if group.y < current.rows && i < dims.width {
        y[group.y * dims.y_stride + i] = x[group.y * dims.width + i] - v[i];
    }
}
