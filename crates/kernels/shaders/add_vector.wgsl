// x[r] += coefficient[slot] * v on the rows that the edit acts on.
struct Dims {
    width: u32,
    stride: u32,
    over_picks: u32,
    slot: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read> picks: array<Pick>;
@group(0) @binding(4) var<storage, read> v: array<f32>;
@group(0) @binding(5) var<storage, read_write> x: array<f32>;

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
    if dims.over_picks == 1u {
        row = picks[group.y].row;
    }
    if ((rows[row].edits >> dims.slot) & 1u) == 1u {
        x[group.y * dims.stride + column] += current.coefficients[dims.slot / 4u][dims.slot % 4u] * v[column];
    }
}
