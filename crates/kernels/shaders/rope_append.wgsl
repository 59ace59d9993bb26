// Normalises the queries of each row by heads and rotates them (Su et al. 2021) in place, does the same to its keys on
// their way into the cache, and copies its values there. A workgroup takes one head; a thread takes pairs of its rotated
// dimensions, or dimensions that are not rotated.
struct Dims {
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    rotated: u32,
    interleaved: u32,
    stride: u32,
    q_normed: u32,
    k_normed: u32,
    epsilon: f32,
    // rotated keys stay in `qkv` as well
    keeps_keys: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read> inverse_frequencies: array<f32>;
@group(0) @binding(4) var<storage, read_write> qkv: array<f32>;
@group(0) @binding(5) var<storage, read_write> keys: array<f32>;
@group(0) @binding(6) var<storage, read_write> values: array<f32>;
@group(0) @binding(7) var<storage, read> q_gain: array<f32>;
@group(0) @binding(8) var<storage, read> k_gain: array<f32>;

var<workgroup> squares: array<f32, 64>;

// 1 / sqrt(mean(h^2) + epsilon) of the head that begins at `source`.
fn norm_factor(thread: u32, source: u32) -> f32 {
    var square = 0.0;
    for (var d = thread; d < dims.head_dim; d += 64u) {
        square += qkv[source + d] * qkv[source + d];
    }
    squares[thread] = square;
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < 64u; i++) {
        sum += squares[i];
    }
    return 1.0 / sqrt(sum / f32(dims.head_dim) + dims.epsilon);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let head = across(group, groups);
    if group.y >= current.rows || head >= dims.heads + 2u * dims.kv_heads {
        return;
    }
    let row = rows[group.y];
    let source = group.y * dims.stride + head * dims.head_dim;
    let is_query = head < dims.heads;
    let is_value = head >= dims.heads + dims.kv_heads;
    let is_normed = !is_value && select(dims.k_normed, dims.q_normed, is_query) == 1u;
    var factor = 1.0;
    if is_normed {
        factor = norm_factor(thread, source);
    }
    let kv_head = (head - dims.heads) % dims.kv_heads;
    let place = ((row.kv_start + row.position) * dims.kv_heads + kv_head) * dims.head_dim;
    let pairs = dims.rotated / 2u;
    for (var unit = thread; unit < dims.head_dim - pairs; unit += 64u) {
        let is_pair = unit < pairs;
        // The two dimensions of the pair; one dimension twice where there is no pair.
        var first = dims.rotated + unit - pairs;
        var second = first;
        if is_pair {
            first = select(unit, 2u * unit, dims.interleaved == 1u);
            second = select(unit + pairs, 2u * unit + 1u, dims.interleaved == 1u);
        }
        var pair = vec2f(qkv[source + first], qkv[source + second]);
        if is_normed && is_query {
            pair *= vec2f(q_gain[first], q_gain[second]) * factor;
        } else if is_normed {
            pair *= vec2f(k_gain[first], k_gain[second]) * factor;
        }
        if is_pair && !is_value {
            let turn = cosine_and_sine(f32(row.position) * inverse_frequencies[unit]);
            pair = vec2f(pair.x * turn.x - pair.y * turn.y, pair.y * turn.x + pair.x * turn.y);
        }
        if is_query {
            qkv[source + first] = pair.x;
            qkv[source + second] = pair.y;
        } else if is_value {
            values[place + first] = pair.x;
            values[place + second] = pair.y;
        } else {
            keys[place + first] = pair.x;
            keys[place + second] = pair.y;
            if dims.keeps_keys == 1u {
                qkv[source + first] = pair.x;
                qkv[source + second] = pair.y;
            }
        }
    }
}
