// Merges what the spans of a row's keys come to, in their order; one workgroup a head.
struct Dims {
    heads: u32,
    head_dim: u32,
    y_stride: u32,
    // that `parts_of_spans` has room for
    spans: u32,
    window: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read> parts_of_spans: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let head = across(group, groups);
    let fours = (dims.head_dim + 3u) / 4u;
    if group.y >= current.rows || head >= dims.heads || thread >= fours {
        return;
    }
    let position = rows[group.y].position;
    var part = NOTHING;
    var at = (group.y * dims.heads + head) * dims.spans * (fours + 1u);
    for (var first = first_seen(position, dims.window); first <= position; first += SPAN) {
        let of_span = parts_of_spans[at];
        part = merged(part, Part(of_span.x, of_span.y, parts_of_spans[at + 1u + thread]));
        at += fours + 1u;
    }
    let first = thread * 4u;
    for (var i = 0u; i < min(4u, dims.head_dim - first); i++) {
        y[group.y * dims.y_stride + head * dims.head_dim + first + i] = part.mixed[i] / part.total;
    }
}
