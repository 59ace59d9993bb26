// Puts rows of x, or the rows of x that the picks name, into the part of a store that holds them: row i of the step (or
// of its picks) goes to row `store_row` + i of the store.
struct Dims {
    x_stride: u32,
    x_first: u32,
    width: u32,
    over_picks: u32,
    // x has a row for each row of the step, and the picks say which are wanted
    gather: u32,
    // what this part holds of the store's rows
    first_row: u32,
    rows_here: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> picks: array<Pick>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read_write> store: array<f32>;

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
    let place = current.store_row + group.y;
    if place < dims.first_row || place - dims.first_row >= dims.rows_here {
        return;
    }
    var row = group.y;
    if dims.gather == 1u {
        row = picks[group.y].row;
    }
    store[(place - dims.first_row) * dims.width + column] = x[row * dims.x_stride + dims.x_first + column];
}
