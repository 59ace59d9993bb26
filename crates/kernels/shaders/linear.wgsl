// y[r, y_first + o] = W[o] . x[r]: sixteen outputs a workgroup, for one to four rows, which `linear_text.rs` writes into
// the marked places. Sixteen threads share the columns of four outputs; weights are decoded once for all rows and go
// straight from their buffer into the sums. A row's norm may be folded in. Of an RMS norm the gain multiplies x, the
// factor multiplies the sum, and the squares are summed beside the products; a layer norm's mean and factor are known
// before (`row_moments.wgsl`).
struct Dims {
    cols: u32,
    outputs: u32,
    x_stride: u32,
    y_stride: u32,
    y_first: u32,
    over_picks: u32,
    biased: u32,
    added: u32,
    normed: u32,
    norm_biased: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> gain: array<vec4f>;
@group(0) @binding(6) var<storage, read> norm_bias: array<vec4f>;
@group(0) @binding(8) var<storage, read> quants: array<u32>;

// [row][slot of four][thread of sixteen], a component for each of a slot's four outputs
var<workgroup> products: array<vec4f, 256>;
// [thread of sixteen], a component for each row
var<workgroup> squares: array<vec4f, 16>;

// Eight columns of four outputs: a row's products with them are two products of a vector and a matrix.
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

fn x_octet(row: u32, chunk: u32) -> Octet {
    let at = row * (dims.x_stride / 4u) + chunk * 2u;
    return within(Octet(x[at], x[at + 1u]), chunk * 8u, dims.cols);
}

fn gain_octet(chunk: u32) -> Octet {
    if dims.normed == 0u {
        return Octet(vec4f(1.0), vec4f(1.0));
    }
    return Octet(gain[chunk * 2u], gain[chunk * 2u + 1u]);
}

// Adds up what the sixteen threads of each slot have for the rows, and stores it.
fn finish(total: u32, first_row: u32, first_output: u32, thread: u32, a: vec4f, b: vec4f, c: vec4f, d: vec4f) {
    products[thread] = a;
    products[64u + thread] = b;
    products[128u + thread] = c;
    products[192u + thread] = d;
    workgroupBarrier();
    let slot_row = thread / 16u;
    let row = first_row + slot_row;
    let output = first_output + thread % 16u;
    if row < total && output < dims.outputs {
        let start = slot_row * 64u + (thread % 4u) * 16u;
        var sum = 0.0;
        for (var i = 0u; i < 16u; i++) {
            sum += products[start + i][(thread % 16u) / 4u];
        }
        if FACTOR_AFTER && dims.normed == 1u {
            var square = 0.0;
            for (var i = 0u; i < 16u; i++) {
                square += squares[i][slot_row];
            }
            sum /= sqrt(square / f32(dims.cols) + dims.epsilon);
        }
        if dims.biased == 1u {
            sum += bias[dims.y_first + output];
        }
        let at = row * dims.y_stride + dims.y_first + output;
        if dims.added == 1u {
            sum += y[at];
        }
        y[at] = sum;
    }
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let total = select(current.rows, current.picks, dims.over_picks == 1u);
    let row = group.y * ROWS;
    let output = across(group, groups) * 16u;
    if row >= total || output >= dims.outputs {
        return;
    }
    // Rows that the step does not have read the last one it has, and are not stored.
    let last = total - 1u;
    var square = vec4f(0.0);
    //@ the moments of the rows
    var sums_0 = vec4f(0.0);
    var sums_1 = vec4f(0.0);
    var sums_2 = vec4f(0.0);
    var sums_3 = vec4f(0.0);
    for (var chunk = thread % 16u; chunk * 8u < dims.cols; chunk += 16u) {
        let w = weight_block(output + thread / 16u, chunk);
        let g = gain_octet(chunk);
        //@ the bias of the norm
        //@ the products of each row
    }
    if thread < 16u {
        squares[thread] = square;
    }
    finish(total, row, output, thread, sums_0, sums_1, sums_2, sums_3);
}
