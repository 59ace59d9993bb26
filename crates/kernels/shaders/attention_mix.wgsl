// y[r, head] = sum over the keys that row r sees of pattern[r, head, k] * value k.
struct Dims {
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    pattern_stride: u32,
    y_stride: u32,
    window: u32,
    keys: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read> pattern: array<f32>;
@group(0) @binding(4) var<storage, read> values: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let head = across(group, groups);
    if group.y >= current.rows || head >= dims.heads {
        return;
    }
    let row = rows[group.y];
    let base = group.y * dims.pattern_stride + head * dims.keys;
    let kv_head = head / (dims.heads / dims.kv_heads);
    for (var d = thread; d < dims.head_dim; d += 64u) {
        var sum = 0.0;
        for (var key = first_seen(row.position, dims.window); key <= row.position; key++) {
            let at = ((row.kv_start + key) * dims.kv_heads + kv_head) * dims.head_dim;
            sum += pattern[base + key] * values[at + d];
        }
        y[group.y * dims.y_stride + head * dims.head_dim + d] = sum;
    }
}
