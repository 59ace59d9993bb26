// y[r] = x[r], or x[row of pick r]: `width` columns of x from `x_first` on.
struct Dims {
    width: u32,
    x_stride: u32,
    y_stride: u32,
    // y has a row for each pick
    over_picks: u32,
    // x has a row for each row of the step, and the picks say which are wanted
    gather: u32,
    x_first: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> picks: array<Pick>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
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
    var row = group.y;
    if dims.gather == 1u {
        row = picks[group.y].row;
    }
    y[group.y * dims.y_stride + column] = x[row * dims.x_stride + dims.x_first + column];
}
