// For each row of logits those of some tokens, and then the logarithm of the sum of all their exponentials: what a
// token's log probability is its logit less. One workgroup a row.
struct Dims {
    vocabulary: u32,
    stride: u32,
    over_picks: u32,
    tokens: u32,
    y_stride: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> tokens: array<u32>;
@group(0) @binding(3) var<storage, read> logits: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

//@ over 256 threads, f32: highest_of_threads = max(a, b)

//@ over 256 threads, f32: sum_of_threads = a + b

const LOWEST = -3e38;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    if group.y >= select(current.rows, current.picks, dims.over_picks == 1u) {
        return;
    }
    let base = group.y * dims.stride;
    var highest = LOWEST;
    for (var token = thread; token < dims.vocabulary; token += 256u) {
        highest = max(highest, logits[base + token]);
    }
    highest = highest_of_threads(thread, highest);
    var total = 0.0;
    for (var token = thread; token < dims.vocabulary; token += 256u) {
        total += exp(logits[base + token] - highest);
    }
    total = sum_of_threads(thread, total);
    for (var i = thread; i < dims.tokens; i += 256u) {
        y[group.y * dims.y_stride + i] = logits[base + tokens[i]];
    }
    if thread == 0u {
        y[group.y * dims.y_stride + dims.tokens] = highest + log(total);
    }
}
