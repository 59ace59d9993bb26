// Causal attention of one row over a span of its keys, by one to four query heads that share a key head (Ainslie et al.
// 2023): keys and values are read once for all of them. `attention_text.rs` writes out what exists for each head.
struct Dims {
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    q_stride: u32,
    // of the result, or how many spans `parts` has room for
    y_stride: u32,
    scale: f32,
    soft_cap: f32,
    window: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read> q: array<f32>;
@group(0) @binding(4) var<storage, read> keys: array<Cached>;
@group(0) @binding(5) var<storage, read> values: array<Cached>;

// [four dimensions][head of the workgroup], scaled
var<workgroup> queries: array<vec4f, 64u * HEADS>;
// [key of the span], a component for each head; then [head][thread], what each thread has mixed
var<workgroup> weights: array<vec4f, SPAN>;
// [thread], a component for each head
var<workgroup> gathered: array<vec4f, 64>;
var<workgroup> eighths: array<vec4f, 8>;

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

// All threads call these, and all get the same.
fn highest_of_threads(thread: u32, mine: vec4f) -> vec4f {
    gathered[thread] = mine;
    workgroupBarrier();
    if thread < 8u {
        var highest = gathered[thread * 8u];
        for (var i = 1u; i < 8u; i++) {
            highest = max(highest, gathered[thread * 8u + i]);
        }
        eighths[thread] = highest;
    }
    workgroupBarrier();
    var highest = eighths[0];
    for (var i = 1u; i < 8u; i++) {
        highest = max(highest, eighths[i]);
    }
    return highest;
}

fn sum_of_threads(thread: u32, mine: vec4f) -> vec4f {
    gathered[thread] = mine;
    workgroupBarrier();
    if thread < 8u {
        var sum = vec4f(0.0);
        for (var i = 0u; i < 8u; i++) {
            sum += gathered[thread * 8u + i];
        }
        eighths[thread] = sum;
    }
    workgroupBarrier();
    var sum = vec4f(0.0);
    for (var i = 0u; i < 8u; i++) {
        sum += eighths[i];
    }
    return sum;
}

// Where the numbers of a key (or value) begin.
fn cache_place(row: Row, key: u32, kv_head: u32) -> u32 {
    return ((row.kv_start + key) * dims.kv_heads + kv_head) * dims.head_dim;
}

// A part for each head; that of thread t, if below `fours_of_head`, has the four dimensions t mixed.
struct Parts {
    //@ a part for each head
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
    scores_0 = select(vec4f(LOWEST), capped_by_head(scores_0), thread < count);
    scores_1 = select(vec4f(LOWEST), capped_by_head(scores_1), thread + 64u < count);
    scores_2 = select(vec4f(LOWEST), capped_by_head(scores_2), thread + 128u < count);
    scores_3 = select(vec4f(LOWEST), capped_by_head(scores_3), thread + 192u < count);
    let highest = highest_of_threads(thread, max(max(scores_0, scores_1), max(scores_2, scores_3)));
    let weights_0 = select(vec4f(0.0), exp(scores_0 - highest), thread < count);
    let weights_1 = select(vec4f(0.0), exp(scores_1 - highest), thread + 64u < count);
    let weights_2 = select(vec4f(0.0), exp(scores_2 - highest), thread + 128u < count);
    let weights_3 = select(vec4f(0.0), exp(scores_3 - highest), thread + 192u < count);
    weights[thread] = weights_0;
    weights[thread + 64u] = weights_1;
    weights[thread + 128u] = weights_2;
    weights[thread + 192u] = weights_3;
    let total = sum_of_threads(thread, (weights_0 + weights_1) + (weights_2 + weights_3));
    // As many keys at a time as there are threads for all of their fours.
    let four = thread % fours;
    let abreast = 64u / fours;
    //@ what is mixed for each head
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
        //@ the parts
    );
}

fn capped_by_head(scores: vec4f) -> vec4f {
    return vec4f(
        capped(scores.x, dims.soft_cap),
        capped(scores.y, dims.soft_cap),
        capped(scores.z, dims.soft_cap),
        capped(scores.w, dims.soft_cap),
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
