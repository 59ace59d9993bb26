// x += sum_k f(s_k) b_k with the coordinates s_k = x . a_k, all read before x changes; then, if `keep_norm`, rescaled to
// the length that x had. x is `width` columns of a row; one workgroup a row.
struct Dims {
    over_picks: u32,
    slot: u32,
    gated: u32,
    stride: u32,
    first: u32,
    width: u32,
    rank: u32,
    // which f: 0 affine, 1 clamp, 2 one-sided
    coordinate: u32,
    has_offsets: u32,
    low: f32,
    high: f32,
    keep_norm: u32,
}

// [rank, width] each
@group(0) @binding(6) var<storage, read> a: array<f32>;
@group(0) @binding(7) var<storage, read> b: array<f32>;
// [rank]
@group(0) @binding(8) var<storage, read> offsets: array<f32>;

const CLAMP = 1u;
const ONE_SIDED = 2u;

// Four directions at a time: what each thread has summed of them.
var<workgroup> of_threads: array<vec4f, 64>;
// f(s_k); as many as `MOST_DIRECTIONS` in `recorder/edit_directions.rs`.
var<workgroup> amounts: array<f32, 256>;

// The sum over the threads of component `part`, in the order of the threads.
fn total(part: u32) -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < 64u; i++) {
        sum += of_threads[i][part];
    }
    return sum;
}

fn amount(direction: u32, s: f32) -> f32 {
    let c = coefficient();
    if dims.coordinate == CLAMP {
        return c * (clamp(s, dims.low, dims.high) - s);
    }
    if dims.coordinate == ONE_SIDED {
        return -c * max(s, 0.0);
    }
    if dims.has_offsets == 1u {
        return c * (s + offsets[direction]);
    }
    return c * s;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    if !acts(group.y) || coefficient() == 0.0 {
        return;
    }
    let base = group.y * dims.stride + dims.first;
    for (var k = 0u; k < dims.rank; k += 4u) {
        var sums = vec4f(0.0);
        for (var part = 0u; part < min(4u, dims.rank - k); part++) {
            let direction = (k + part) * dims.width;
            var sum = 0.0;
            for (var i = thread; i < dims.width; i += 64u) {
                sum += x[base + i] * a[direction + i];
            }
            sums[part] = sum;
        }
        // The sums of the four before must have been read.
        workgroupBarrier();
        of_threads[thread] = sums;
        workgroupBarrier();
        if thread < min(4u, dims.rank - k) {
            amounts[k + thread] = amount(k + thread, total(thread));
        }
    }
    workgroupBarrier();
    // The squares of x before and after.
    var squares = vec2f(0.0);
    for (var i = thread; i < dims.width; i += 64u) {
        let before = x[base + i];
        var after = before;
        for (var k = 0u; k < dims.rank; k++) {
            after += amounts[k] * b[k * dims.width + i];
        }
        x[base + i] = after;
        squares += vec2f(before * before, after * after);
    }
    if dims.keep_norm == 0u {
        return;
    }
    of_threads[thread] = vec4f(squares, 0.0, 0.0);
    workgroupBarrier();
    let before = total(0u);
    let after = total(1u);
    // What was removed altogether has no direction to be given its length in.
    if after > 0.0 && after != before {
        let factor = sqrt(before / after);
        for (var i = thread; i < dims.width; i += 64u) {
            x[base + i] *= factor;
        }
    }
}
