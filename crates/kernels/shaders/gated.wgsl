// y[r, c] = activation(x[r, c]) * x[r, width + c] (Shazeer 2020).
struct Dims {
    width: u32,
    x_stride: u32,
    y_stride: u32,
    over_picks: u32,
    activation: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

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
    let gate = x[group.y * dims.x_stride + column];
    let up = x[group.y * dims.x_stride + dims.width + column];
    y[group.y * dims.y_stride + column] = activated(gate, dims.activation) * up;
}
