// A workgroup takes one span of a row's keys; `attention_combine.wgsl` merges what the spans come to.
// [row][head][span][highest and total, then four dimensions each]
@group(0) @binding(6) var<storage, read_write> parts_of_spans: array<vec4f>;

fn keep(thread: u32, row: u32, head: u32, end: u32, span: u32, part: Part) {
    let fours = fours_of_head();
    if head >= end || thread >= fours {
        return;
    }
    let at = ((row * dims.heads + head) * dims.y_stride + span) * (fours + 1u);
    if thread == 0u {
        parts_of_spans[at] = vec4f(part.highest, part.total, 0.0, 0.0);
    }
    parts_of_spans[at + 1u + thread] = part.mixed;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let units = dims.kv_heads * groups_of_a_key_head();
    let span = across(group, groups) / units;
    if group.y >= current.rows || span >= dims.y_stride {
        return;
    }
    let heads = sharing(across(group, groups) % units);
    let row = rows[group.y];
    let first = first_seen(row.position, dims.window) + span * SPAN;
    let end = row.position + 1u;
    if first >= end {
        return;
    }
    load_queries(thread, group.y, heads);
    let parts = attend(thread, row, heads.kv_head, first, min(end, first + SPAN));
    //@ the parts of each head are kept
}
