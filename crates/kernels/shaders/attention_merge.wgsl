// Merges what the spans of a row's keys come to, in their order, as `attention.wgsl` does when it has all of them; one
// workgroup a head.
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
    let spans = (position - first_seen(position, dims.window)) / SPAN + 1u;
    let start = (group.y * dims.heads + head) * dims.spans * (fours + 1u);
    var highest = parts_of_spans[start].x;
    var total = parts_of_spans[start].y;
    var mixed = parts_of_spans[start + 1u + thread];
    for (var span = 1u; span < spans; span++) {
        let at = start + span * (fours + 1u);
        let next = max(highest, parts_of_spans[at].x);
        let before = exp(highest - next);
        let here = exp(parts_of_spans[at].x - next);
        highest = next;
        total = total * before + parts_of_spans[at].y * here;
        mixed = mixed * before + parts_of_spans[at + 1u + thread] * here;
    }
    let first = thread * 4u;
    for (var i = 0u; i < min(4u, dims.head_dim - first); i++) {
        y[group.y * dims.y_stride + head * dims.head_dim + first + i] = mixed[i] / total;
    }
}
