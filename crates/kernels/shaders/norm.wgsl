// y[r] (+)= gain * (x[r] - mean) / sqrt(mean((x[r] - mean)^2) + epsilon) + bias, with mean 0 for an RMS norm (Zhang and
// Sennrich 2019; Ba et al. 2016); one workgroup a row.
struct Dims {
    width: u32,
    stride: u32,
    over_picks: u32,
    layer: u32,
    biased: u32,
    added: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> gain: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    if group.y >= select(current.rows, current.picks, dims.over_picks == 1u) {
        return;
    }
    let base = group.y * dims.stride;
    let mean = centre(thread, base, dims.width, dims.layer);
    let factor = 1.0 / deviation(thread, base, dims.width, mean, dims.epsilon);
    for (var i = thread; i < dims.width; i += 64u) {
        var normed = gain[i] * ((x[base + i] - mean) * factor);
        if dims.biased == 1u {
            normed += bias[i];
        }
        if dims.added == 1u {
            normed += y[base + i];
        }
        y[base + i] = normed;
    }
}
