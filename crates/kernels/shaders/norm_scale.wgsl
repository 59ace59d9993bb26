// y[r] = sqrt(mean((x[r] - mean)^2) + epsilon), with mean 0 for an RMS norm; one workgroup a row.
struct Dims {
    width: u32,
    x_stride: u32,
    y_stride: u32,
    over_picks: u32,
    layer: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    if group.y >= select(current.rows, current.picks, dims.over_picks == 1u) {
        return;
    }
    let base = group.y * dims.x_stride;
    let mean = centre(thread, base, dims.width, dims.layer);
    let scale = deviation(thread, base, dims.width, mean, dims.epsilon);
    if thread == 0u {
        y[group.y * dims.y_stride] = scale;
    }
}
