// x += coefficient * unit * sum_k (g_k(f_k) - f_k) d_k: features f of x, what an edit makes of the listed ones, and their
// directions. x is `width` columns of a row; one workgroup a row.
struct Dims {
    over_picks: u32,
    slot: u32,
    gated: u32,
    stride: u32,
    first: u32,
    width: u32,
    count: u32,
    features_stride: u32,
    centred: u32,
    normalised: u32,
}

@group(0) @binding(6) var<storage, read> features: array<f32>;
// feature, kind, and the bits of two numbers
@group(0) @binding(7) var<storage, read> listed: array<vec4u>;
// [count, width]
@group(0) @binding(8) var<storage, read> directions: array<f32>;

const SET = 0u;
const ADD = 1u;
const SCALE = 2u;

// What is added along each direction; as many as `MOST_CHANGES` in `encoder.rs`.
var<workgroup> amounts: array<f32, 64>;

fn difference(change: vec4u, f: f32) -> f32 {
    let a = bitcast<f32>(change.z);
    switch change.y {
        case SET: {
            return a - f;
        }
        case ADD: {
            return a;
        }
        case SCALE: {
            return a * f - f;
        }
        default: {
            return clamp(f, a, bitcast<f32>(change.w)) - f;
        }
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    if !acts(group.y) || coefficient() == 0.0 {
        return;
    }
    let base = group.y * dims.stride + dims.first;
    var unit = 1.0;
    if dims.normalised != 0u {
        unit = scale_of(thread, base, dims.width, dims.centred == 1u, dims.normalised).unit;
    }
    if thread < dims.count {
        let change = listed[thread];
        let f = features[group.y * dims.features_stride + change.x];
        amounts[thread] = coefficient() * unit * difference(change, f);
    }
    workgroupBarrier();
    for (var i = thread; i < dims.width; i += 64u) {
        var sum = 0.0;
        for (var k = 0u; k < dims.count; k++) {
            sum += amounts[k] * directions[k * dims.width + i];
        }
        x[base + i] += sum;
    }
}
