// y[r, c] = sum over heads of x[r, head, c] (+ bias[c]).
struct Dims {
    width: u32,
    heads: u32,
    x_stride: u32,
    y_stride: u32,
    over_picks: u32,
    biased: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let column = across(group, groups) * 64u + thread;
    if group.y >= select(current.rows, current.picks, dims.over_picks == 1u) || column >= dims.width {
        return;
    }
    var sum = 0.0;
    for (var head = 0u; head < dims.heads; head++) {
        sum += x[group.y * dims.x_stride + head * dims.width + column];
    }
    if dims.biased == 1u {
        sum += bias[column];
    }
    y[group.y * dims.y_stride + column] = sum;
}
