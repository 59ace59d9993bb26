// Whether a condition on the activation h (`width` columns of a row of x) fires; one workgroup a row.
struct Dims {
    over_picks: u32,
    slot: u32,
    stride: u32,
    first: u32,
    width: u32,
    // 0 dot, 1 cosine, 2 cosine to the projection
    kind: u32,
    above: u32,
    // `fired` has a word for each row of the key and value cache, not for each row of x
    latched: u32,
    bias: f32,
    threshold: f32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read> picks: array<Pick>;
@group(0) @binding(4) var<storage, read> x: array<f32>;
@group(0) @binding(5) var<storage, read> v: array<f32>;
@group(0) @binding(6) var<storage, read_write> fired: array<u32>;

const DOT = 0u;
const TO_PROJECTION = 2u;

//@ over 64 threads, vec4f: totals = a + b

// 0 where one of the two has no length.
fn cosine(product: f32, square: f32, other_square: f32) -> f32 {
    let length = sqrt(square) * sqrt(other_square);
    if length > 0.0 {
        return product / length;
    }
    return 0.0;
}

// WGSL promises its own tanh to 1e-5 only, absolutely: the cosine of small numbers would notice.
fn hyperbolic_tangent(t: f32) -> f32 {
    let size = abs(t);
    if size < 0.4 {
        // Maclaurin series; the next term is below 2^-23 of the sum.
        let z = t * t;
        var sum = 21844.0 / 6081075.0;
        sum = sum * z - 1382.0 / 155925.0;
        sum = sum * z + 62.0 / 2835.0;
        sum = sum * z - 17.0 / 315.0;
        sum = sum * z + 2.0 / 15.0;
        sum = sum * z - 1.0 / 3.0;
        return t + t * (z * sum);
    }
    // Beyond 10 it is 1 in f32, and an exponential would overflow.
    return sign(t) * (1.0 - 2.0 / (exp(2.0 * min(size, 10.0)) + 1.0));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    if group.y >= select(current.rows, current.picks, dims.over_picks == 1u) {
        return;
    }
    var index = group.y;
    if dims.over_picks == 1u {
        index = picks[group.y].row;
    }
    let row = rows[index];
    let place = select(group.y, row.kv_start + row.position, dims.latched == 1u);
    if ((row.edits >> dims.slot) & 1u) == 0u {
        if thread == 0u {
            fired[place] = 0u;
        }
        return;
    }
    let base = group.y * dims.stride + dims.first;
    // h . v, h . h, v . v
    var mine = vec4f(0.0);
    for (var i = thread; i < dims.width; i += 64u) {
        let h = x[base + i];
        mine += vec4f(h * v[i], h * h, v[i] * v[i], 0.0);
    }
    let sums = totals(thread, mine);
    var value = sums.x + dims.bias;
    if dims.kind != DOT {
        value = cosine(sums.x, sums.y, sums.z);
    }
    if dims.kind == TO_PROJECTION {
        let share = select(0.0, sums.x / sums.z, sums.z > 0.0);
        // h . t and t . t, where t is the tangent of the projection
        var to_tangent = vec4f(0.0);
        for (var i = thread; i < dims.width; i += 64u) {
            let t = hyperbolic_tangent(share * v[i]);
            to_tangent += vec4f(x[base + i] * t, t * t, 0.0, 0.0);
        }
        let projected = totals(thread, to_tangent);
        value = cosine(projected.x, sums.y, projected.y);
    }
    if thread == 0u {
        var fires = value > dims.threshold;
        if dims.above == 0u {
            fires = value < dims.threshold;
        }
        fired[place] = u32(fires);
    }
}
