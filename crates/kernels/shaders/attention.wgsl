// Causal attention of one row, by one to four query heads that share a key head (Ainslie et al. 2023): keys and values
// are read once for all of them. A workgroup goes through the keys by spans, or takes one span, and then
// `attention_merge.wgsl` merges what the spans come to. `attention_text.rs` writes out what exists for each head.
struct Dims {
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    q_stride: u32,
    y_stride: u32,
    scale: f32,
    soft_cap: f32,
    window: u32,
    // that `parts_of_spans` has room for; 0 where a workgroup goes through all spans of a row
    spans_apart: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read> q: array<f32>;
@group(0) @binding(4) var<storage, read> keys: array<Cached>;
@group(0) @binding(5) var<storage, read> values: array<Cached>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
// [row][head][span][highest and total, then four dimensions each]
@group(0) @binding(7) var<storage, read_write> parts_of_spans: array<vec4f>;

const LOWEST = -1e30;

// [four dimensions][head of the workgroup], scaled
var<workgroup> queries: array<vec4f, 64u * HEADS>;
// [key of the span], a component for each head; then [head][thread], what each thread has mixed
var<workgroup> weights: array<vec4f, SPAN>;

fn fours_of_head() -> u32 {
    return (dims.head_dim + 3u) / 4u;
}

// The query heads of a workgroup: those of key head `kv_head` from `first` on, below `end`.
struct Sharing {
    kv_head: u32,
    first: u32,
    end: u32,
}

fn groups_of_a_key_head() -> u32 {
    return (dims.heads / dims.kv_heads + HEADS - 1u) / HEADS;
}

fn sharing(group: u32) -> Sharing {
    let kv_head = group / groups_of_a_key_head();
    let end = (kv_head + 1u) * (dims.heads / dims.kv_heads);
    return Sharing(kv_head, kv_head * (dims.heads / dims.kv_heads) + group % groups_of_a_key_head() * HEADS, end);
}

fn load_queries(thread: u32, row: u32, heads: Sharing) {
    for (var i = thread; i < fours_of_head() * HEADS; i += 64u) {
        let four = i / HEADS;
        // A head beyond the last computes what the last does, and is not stored.
        let head = min(heads.first + i % HEADS, heads.end - 1u);
        var query = vec4f(0.0);
        for (var j = 0u; j < min(4u, dims.head_dim - four * 4u); j++) {
            query[j] = q[row * dims.q_stride + head * dims.head_dim + four * 4u + j] * dims.scale;
        }
        queries[i] = query;
    }
    workgroupBarrier();
}

//@ over 64 threads, vec4f: highest_of_threads = max(a, b)

//@ over 64 threads, vec4f: sum_of_threads = a + b

// Where the numbers of a key (or value) begin.
fn cache_place(row: Row, key: u32, kv_head: u32) -> u32 {
    return ((row.kv_start + key) * dims.kv_heads + kv_head) * dims.head_dim;
}

// What attention to some of the keys comes to: the highest scores, the sums of exp(score - highest), and the values
// weighted so (Milakov and Gimelshein 2018; Dao et al. 2022). The first two have a component for each head; thread t, if
// below `fours_of_head`, has the four dimensions t of what is mixed.
struct Parts {
    highest: vec4f,
    total: vec4f,
    //@ what is mixed for each head
}

// Attention to the keys first .. end of the row's sequence, at most SPAN, at least one.
fn attend(thread: u32, row: Row, kv_head: u32, first: u32, end: u32) -> Parts {
    let count = end - first;
    let fours = fours_of_head();
    // Keys thread, thread + 64, ... of the span; beyond its end the last one again, which then weighs nothing.
    let last = end - 1u;
    let place_0 = cache_place(row, min(first + thread, last), kv_head);
    let place_1 = cache_place(row, min(first + thread + 64u, last), kv_head);
    let place_2 = cache_place(row, min(first + thread + 128u, last), kv_head);
    let place_3 = cache_place(row, min(first + thread + 192u, last), kv_head);
    // [key], a component for each head
    var scores_0 = vec4f(0.0);
    var scores_1 = vec4f(0.0);
    var scores_2 = vec4f(0.0);
    var scores_3 = vec4f(0.0);
    // Of the two loops one runs: software adapters would execute both sides of a branch.
    for (var four = 0u; four < select(fours, 0u, count > 64u); four++) {
        let key_0 = key_four(place_0, four);
        //@ the scores of one key
    }
    for (var four = 0u; four < select(0u, fours, count > 64u); four++) {
        let key_0 = key_four(place_0, four);
        let key_1 = key_four(place_1, four);
        let key_2 = key_four(place_2, four);
        let key_3 = key_four(place_3, four);
        //@ the scores of four keys
    }
    weights[thread] = scores_0;
    weights[thread + 64u] = scores_1;
    weights[thread + 128u] = scores_2;
    weights[thread + 192u] = scores_3;
    // Each thread goes on with what it has written itself.
    var mine = vec4f(LOWEST);
    for (var key = thread; key < count; key += 64u) {
        let score = capped(weights[key], dims.soft_cap);
        weights[key] = score;
        mine = max(mine, score);
    }
    let highest = highest_of_threads(thread, mine);
    mine = vec4f(0.0);
    for (var key = thread; key < count; key += 64u) {
        let weight = exp(weights[key] - highest);
        weights[key] = weight;
        mine += weight;
    }
    let total = sum_of_threads(thread, mine);
    // As many keys at a time as there are threads for all of their fours.
    let four = thread % fours;
    let abreast = 64u / fours;
    //@ nothing is mixed for each head
    for (var i = thread / fours; i < select(0u, count, thread < abreast * fours); i += abreast) {
        let weight = weights[i];
        let value = value_four(cache_place(row, first + i, kv_head), four);
        //@ a value for each head
    }
    workgroupBarrier();
    //@ what each thread has mixed
    workgroupBarrier();
    //@ the sums of what they have mixed
    // The weights have been used.
    workgroupBarrier();
    return Parts(
        highest,
        total,
        //@ the sum for each head
    );
}

// What the threads that had the same four have mixed for a head.
fn sum_abreast(thread: u32, head: u32) -> vec4f {
    let fours = fours_of_head();
    var sum = vec4f(0.0);
    for (var i = thread; i < select(0u, 64u / fours * fours, thread < fours); i += fours) {
        sum += weights[head * 64u + i];
    }
    return sum;
}

// The parts of earlier keys and of later ones; `attention_merge.wgsl` does the same.
fn merged(a: Parts, b: Parts) -> Parts {
    let highest = max(a.highest, b.highest);
    let of_a = exp(a.highest - highest);
    let of_b = exp(b.highest - highest);
    return Parts(
        highest,
        a.total * of_a + b.total * of_b,
        //@ the merged sum of each head
    );
}

// What a workgroup has of one head: in parts to be merged, or done.
fn store(thread: u32, row: u32, head: u32, span: u32, highest: f32, total: f32, mixed: vec4f) {
    let fours = fours_of_head();
    if thread >= fours {
        return;
    }
    if dims.spans_apart > 0u {
        let at = ((row * dims.heads + head) * dims.spans_apart + span) * (fours + 1u);
        if thread == 0u {
            parts_of_spans[at] = vec4f(highest, total, 0.0, 0.0);
        }
        parts_of_spans[at + 1u + thread] = mixed;
        return;
    }
    for (var i = 0u; i < min(4u, dims.head_dim - thread * 4u); i++) {
        y[row * dims.y_stride + head * dims.head_dim + thread * 4u + i] = mixed[i] / total;
    }
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let units = dims.kv_heads * groups_of_a_key_head();
    let span = across(group, groups) / units;
    if group.y >= current.rows || span >= max(dims.spans_apart, 1u) {
        return;
    }
    let heads = sharing(across(group, groups) % units);
    let row = rows[group.y];
    let begin = first_seen(row.position, dims.window) + span * SPAN;
    var end = row.position + 1u;
    if begin >= end {
        return;
    }
    if dims.spans_apart > 0u {
        end = min(end, begin + SPAN);
    }
    load_queries(thread, group.y, heads);
    var parts = attend(thread, row, heads.kv_head, begin, min(end, begin + SPAN));
    for (var first = begin + SPAN; first < end; first += SPAN) {
        parts = merged(parts, attend(thread, row, heads.kv_head, first, min(end, first + SPAN)));
    }
    //@ each head is stored
}
