// A workgroup goes through all spans of a row's keys.
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

fn store(thread: u32, row: u32, head: u32, end: u32, part: Part) {
    if head >= end {
        return;
    }
    let first = thread * 4u;
    for (var i = 0u; i < min(4u, dims.head_dim - min(first, dims.head_dim)); i++) {
        y[row * dims.y_stride + head * dims.head_dim + first + i] = part.mixed[i] / part.total;
    }
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let unit = across(group, groups);
    if group.y >= current.rows || unit >= dims.kv_heads * groups_of_a_key_head() {
        return;
    }
    let heads = sharing(unit);
    let row = rows[group.y];
    let end = row.position + 1u;
    load_queries(thread, group.y, heads);
    //@ nothing for each head
    for (var first = first_seen(row.position, dims.window); first < end; first += SPAN) {
        let parts = attend(thread, row, heads.kv_head, first, min(end, first + SPAN));
        //@ the parts of each head
    }
    //@ the result of each head
}
