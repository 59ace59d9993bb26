// Causal attention of one head of one row over the keys of its sequence, with the softmax taken as the keys come
// (Milakov and Gimelshein 2018): no matrix of scores is kept. Several query heads share a key head (Ainslie et al. 2023).
struct Dims {
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    q_stride: u32,
    y_stride: u32,
    scale: f32,
    soft_cap: f32,
    window: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read> q: array<f32>;
@group(0) @binding(4) var<storage, read> keys: array<f32>;
@group(0) @binding(5) var<storage, read> values: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

var<workgroup> query: array<f32, 256>;
var<workgroup> scores: array<f32, 64>;
var<workgroup> weights: array<f32, 64>;

const LOWEST = -1e30;

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
    let end = row.position + 1u;
    let width = dims.kv_heads * dims.head_dim;
    let base = row.kv_start * width + head / (dims.heads / dims.kv_heads) * dims.head_dim;
    for (var d = thread; d < dims.head_dim; d += 64u) {
        query[d] = q[group.y * dims.q_stride + head * dims.head_dim + d] * dims.scale;
    }
    workgroupBarrier();
    var highest = LOWEST;
    var total = 0.0;
    // Dimensions thread, thread + 64, thread + 128, thread + 192 of the output.
    var sum = vec4f(0.0);
    for (var first = first_seen(row.position, dims.window); first < end; first += 64u) {
        let here = min(end - first, 64u);
        var score = LOWEST;
        if thread < here {
            let at = base + (first + thread) * width;
            score = 0.0;
            for (var d = 0u; d < dims.head_dim; d++) {
                score += query[d] * keys[at + d];
            }
            score = capped(score, dims.soft_cap);
        }
        scores[thread] = score;
        workgroupBarrier();
        let before = highest;
        for (var i = 0u; i < here; i++) {
            highest = max(highest, scores[i]);
        }
        weights[thread] = select(0.0, exp(score - highest), thread < here);
        workgroupBarrier();
        let shrink = exp(before - highest);
        total *= shrink;
        sum *= shrink;
        for (var i = 0u; i < here; i++) {
            let weight = weights[i];
            total += weight;
            let at = base + (first + i) * width + thread;
            if thread < dims.head_dim {
                sum.x += weight * values[at];
            }
            if thread + 64u < dims.head_dim {
                sum.y += weight * values[at + 64u];
            }
            if thread + 128u < dims.head_dim {
                sum.z += weight * values[at + 128u];
            }
            if thread + 192u < dims.head_dim {
                sum.w += weight * values[at + 192u];
            }
        }
    }
    for (var i = 0u; i < 4u; i++) {
        let d = thread + i * 64u;
        if d < dims.head_dim {
            y[group.y * dims.y_stride + head * dims.head_dim + d] = sum[i] / total;
        }
    }
}
