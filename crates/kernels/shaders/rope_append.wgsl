// Rotates the queries of each row in place (Su et al. 2021), rotates its keys into the cache, copies its values there.
// A thread takes one pair of a head's rotated dimensions, or one of the dimensions that are not rotated.
struct Dims {
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    rotated: u32,
    interleaved: u32,
    stride: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read> inverse_frequencies: array<f32>;
@group(0) @binding(4) var<storage, read_write> qkv: array<f32>;
@group(0) @binding(5) var<storage, read_write> keys: array<f32>;
@group(0) @binding(6) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let pairs = dims.rotated / 2u;
    let units = dims.head_dim - pairs;
    let at = across(group, groups) * 64u + thread;
    let head = at / units;
    let unit = at % units;
    if group.y >= current.rows || head >= dims.heads + 2u * dims.kv_heads {
        return;
    }
    let row = rows[group.y];
    let source = group.y * dims.stride + head * dims.head_dim;
    let is_pair = unit < pairs;
    // The two dimensions of the pair; one dimension twice where there is no pair.
    var first = dims.rotated + unit - pairs;
    var second = first;
    if is_pair {
        first = select(unit, 2u * unit, dims.interleaved == 1u);
        second = select(unit + pairs, 2u * unit + 1u, dims.interleaved == 1u);
    }
    let is_value = head >= dims.heads + dims.kv_heads;
    var pair = vec2f(qkv[source + first], qkv[source + second]);
    if is_pair && !is_value {
        let turn = cosine_and_sine(f32(row.position) * inverse_frequencies[unit]);
        pair = vec2f(pair.x * turn.x - pair.y * turn.y, pair.y * turn.x + pair.x * turn.y);
    }
    if head < dims.heads {
        qkv[source + first] = pair.x;
        qkv[source + second] = pair.y;
        return;
    }
    let kv_head = (head - dims.heads) % dims.kv_heads;
    let target_base = ((row.kv_start + row.position) * dims.kv_heads + kv_head) * dims.head_dim;
    if is_value {
        values[target_base + first] = pair.x;
        values[target_base + second] = pair.y;
    } else {
        keys[target_base + first] = pair.x;
        keys[target_base + second] = pair.y;
    }
}
