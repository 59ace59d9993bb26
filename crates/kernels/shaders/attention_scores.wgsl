// y[r, head, k] = capped(scale * q[r, head] . key k) for the keys that row r sees, -1e30 for the others. A workgroup
// takes 64 keys of one head.
struct Dims {
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    q_stride: u32,
    y_stride: u32,
    scale: f32,
    soft_cap: f32,
    window: u32,
    keys: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read> q: array<f32>;
@group(0) @binding(4) var<storage, read> keys: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

var<workgroup> query: array<f32, 256>;

const UNSEEN = -1e30;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let blocks = (dims.keys + 63u) / 64u;
    let head = across(group, groups) / blocks;
    let key = across(group, groups) % blocks * 64u + thread;
    if group.y >= current.rows || head >= dims.heads {
        return;
    }
    for (var d = thread; d < dims.head_dim; d += 64u) {
        query[d] = q[group.y * dims.q_stride + head * dims.head_dim + d] * dims.scale;
    }
    workgroupBarrier();
    if key >= dims.keys {
        return;
    }
    let row = rows[group.y];
    var score = UNSEEN;
    if key >= first_seen(row.position, dims.window) && key <= row.position {
        let kv_head = head / (dims.heads / dims.kv_heads);
        let at = ((row.kv_start + key) * dims.kv_heads + kv_head) * dims.head_dim;
        score = 0.0;
        for (var d = 0u; d < dims.head_dim; d++) {
            score += query[d] * keys[at + d];
        }
        score = capped(vec4f(score), dims.soft_cap).x;
    }
    y[group.y * dims.y_stride + head * dims.keys + key] = score;
}
