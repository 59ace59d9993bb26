// y[r] = (x[r] - mean) / scale[r], with mean 0 for an RMS norm; one workgroup a row.
struct Dims {
    width: u32,
    stride: u32,
    scale_stride: u32,
    over_picks: u32,
    layer: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    if group.y >= select(current.rows, current.picks, dims.over_picks == 1u) {
        return;
    }
    let base = group.y * dims.stride;
    let mean = centre(thread, base, dims.width, dims.layer);
    for (var i = thread; i < dims.width; i += 64u) {
        y[base + i] = (x[base + i] - mean) / scale[group.y * dims.scale_stride];
    }
}
