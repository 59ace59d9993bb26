// x[r, c] = cap * tanh(x[r, c] / cap) (Gemma Team 2024).
struct Dims {
    width: u32,
    stride: u32,
    over_picks: u32,
    cap: f32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

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
    let at = group.y * dims.stride + column;
    x[at] = dims.cap * hyperbolic_tangent(vec4f(x[at] / dims.cap)).x;
}
