// y[r, y_first + o] = W[o] . x[r] for steps of many rows: sixteen rows by sixteen outputs a workgroup.
// Sixteen threads share the columns of four outputs, so that weights are decoded once for sixteen rows and go straight
// from their buffer into the sums. The sums are written out one by one: an array of them would be indexed in memory
// where a driver does not unroll loops. Rows that the step does not have are skipped.
struct Dims {
    cols: u32,
    outputs: u32,
    x_stride: u32,
    y_stride: u32,
    y_first: u32,
    biased: u32,
    added: u32,
}

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(8) var<storage, read> quants: array<u32>;

// [row of four][slot of four][thread of sixteen], a component for each of a slot's four outputs
var<workgroup> partial: array<vec4f, 256>;

// Eight columns of four outputs.
struct Block {
    lo: mat4x4f,
    hi: mat4x4f,
}

fn weight_block(output: u32, chunk: u32) -> Block {
    let last = dims.outputs - 1u;
    let a = weight_octet(min(output, last), chunk, dims.cols);
    let b = weight_octet(min(output + 4u, last), chunk, dims.cols);
    let c = weight_octet(min(output + 8u, last), chunk, dims.cols);
    let d = weight_octet(min(output + 12u, last), chunk, dims.cols);
    return Block(mat4x4f(a.lo, b.lo, c.lo, d.lo), mat4x4f(a.hi, b.hi, c.hi, d.hi));
}

// The products of a row's eight columns with four outputs.
fn products(row: u32, chunk: u32, w: Block) -> vec4f {
    let at = row * (dims.x_stride / 4u) + chunk * 2u;
    let octet = within(Octet(x[at], x[at + 1u]), chunk * 8u, dims.cols);
    return octet.lo * w.lo + octet.hi * w.hi;
}

// Adds up what the sixteen threads of each slot have for four rows, and stores it.
fn finish(first_row: u32, first_output: u32, thread: u32, a: vec4f, b: vec4f, c: vec4f, d: vec4f) {
    partial[thread] = a;
    partial[64u + thread] = b;
    partial[128u + thread] = c;
    partial[192u + thread] = d;
    workgroupBarrier();
    let row = first_row + thread / 16u;
    let output = first_output + thread % 16u;
    if row < step.rows && output < dims.outputs {
        let at = (thread / 16u) * 64u + (thread % 4u) * 16u;
        var sum = 0.0;
        for (var i = 0u; i < 16u; i++) {
            sum += partial[at + i][(thread % 16u) / 4u];
        }
        if dims.biased == 1u {
            sum += bias[dims.y_first + output];
        }
        let target_at = row * dims.y_stride + dims.y_first + output;
        if dims.added == 1u {
            sum += y[target_at];
        }
        y[target_at] = sum;
    }
    workgroupBarrier();
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.y * 16u;
    let output = across(group, groups) * 16u;
    if row >= step.rows || output >= dims.outputs {
        return;
    }
    let live = step.rows - row;
    var sums_0 = vec4f(0.0);
    var sums_1 = vec4f(0.0);
    var sums_2 = vec4f(0.0);
    var sums_3 = vec4f(0.0);
    var sums_4 = vec4f(0.0);
    var sums_5 = vec4f(0.0);
    var sums_6 = vec4f(0.0);
    var sums_7 = vec4f(0.0);
    var sums_8 = vec4f(0.0);
    var sums_9 = vec4f(0.0);
    var sums_10 = vec4f(0.0);
    var sums_11 = vec4f(0.0);
    var sums_12 = vec4f(0.0);
    var sums_13 = vec4f(0.0);
    var sums_14 = vec4f(0.0);
    var sums_15 = vec4f(0.0);
    // Rows of a group of four that the step does not have read the last one it has, and are not stored.
    let last = step.rows - 1u;
    for (var chunk = thread % 16u; chunk * 8u < dims.cols; chunk += 16u) {
        let w = weight_block(output + thread / 16u, chunk);
        sums_0 += products(row, chunk, w);
        sums_1 += products(min(row + 1u, last), chunk, w);
        sums_2 += products(min(row + 2u, last), chunk, w);
        sums_3 += products(min(row + 3u, last), chunk, w);
        if live > 4u {
            sums_4 += products(row + 4u, chunk, w);
            sums_5 += products(min(row + 5u, last), chunk, w);
            sums_6 += products(min(row + 6u, last), chunk, w);
            sums_7 += products(min(row + 7u, last), chunk, w);
        }
        if live > 8u {
            sums_8 += products(row + 8u, chunk, w);
            sums_9 += products(min(row + 9u, last), chunk, w);
            sums_10 += products(min(row + 10u, last), chunk, w);
            sums_11 += products(min(row + 11u, last), chunk, w);
        }
        if live > 12u {
            sums_12 += products(row + 12u, chunk, w);
            sums_13 += products(min(row + 13u, last), chunk, w);
            sums_14 += products(min(row + 14u, last), chunk, w);
            sums_15 += products(min(row + 15u, last), chunk, w);
        }
    }
    finish(row, output, thread, sums_0, sums_1, sums_2, sums_3);
    if live > 4u {
        finish(row + 4u, output, thread, sums_4, sums_5, sums_6, sums_7);
    }
    if live > 8u {
        finish(row + 8u, output, thread, sums_8, sums_9, sums_10, sums_11);
    }
    if live > 12u {
        finish(row + 12u, output, thread, sums_12, sums_13, sums_14, sums_15);
    }
}
