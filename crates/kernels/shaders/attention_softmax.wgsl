// Softmax of one head's scores over the keys that row r sees, in place; 0 for the others.
struct Dims {
    heads: u32,
    keys: u32,
    window: u32,
    stride: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read_write> scores: array<f32>;

//@ over 64 threads, f32: highest_of_threads = max(a, b)

//@ over 64 threads, f32: sum_of_threads = a + b

const LOWEST = -3e38;

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
    let base = group.y * dims.stride + head * dims.keys;
    let first = first_seen(rows[group.y].position, dims.window);
    let end = rows[group.y].position + 1u;
    var highest = LOWEST;
    for (var key = first + thread; key < end; key += 64u) {
        highest = max(highest, scores[base + key]);
    }
    highest = highest_of_threads(thread, highest);
    var total = 0.0;
    for (var key = first + thread; key < end; key += 64u) {
        total += exp(scores[base + key] - highest);
    }
    total = sum_of_threads(thread, total);
    for (var key = thread; key < dims.keys; key += 64u) {
        var weight = 0.0;
        if key >= first && key < end {
            weight = exp(scores[base + key] - highest) / total;
        }
        scores[base + key] = weight;
    }
}
