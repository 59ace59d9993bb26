// x[r, c] += coefficient * (table[e, c] - x[r, c]), where entry e of the table is for the row's position; exactly the
// table's number where the coefficient is 1. Rows whose position has no entry stay as they are.
struct Dims {
    over_picks: u32,
    slot: u32,
    gated: u32,
    stride: u32,
    first: u32,
    width: u32,
    entries: u32,
}

// Ascending.
@group(0) @binding(6) var<storage, read> positions: array<u32>;
// [entries, width]
@group(0) @binding(7) var<storage, read> table: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = across(group, groups) * 64u + thread;
    if !acts(group.y) || index >= dims.width {
        return;
    }
    let entry = entry_of(rows[step_row(group.y)].position, dims.entries);
    if entry == dims.entries {
        return;
    }
    let at = group.y * dims.stride + dims.first + index;
    let value = table[entry * dims.width + index];
    let c = coefficient();
    if c == 1.0 {
        x[at] = value;
    } else {
        x[at] += c * (value - x[at]);
    }
}
