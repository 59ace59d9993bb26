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

// What a thread has summed: of each row four outputs, and a component of `square` for each row.
struct Sums {
    //@ four outputs of each row
    square: vec4f,
}

// What the sixteen threads of a slot have summed of one output of one row of the workgroup.
struct SlotSum {
    row: u32,
    output: u32,
    sum: f32,
    square: f32,
}

//@ the sums over the threads of a slot

// Adds up what the sixteen threads of each slot have (`slot_text.rs`); each thread stores one of the sums.
fn finish(total: u32, first_row: u32, first_output: u32, thread: u32, sums: Sums) {
    let own = sum_over_slot(thread, sums);
    let row = first_row + own.row;
    let output = first_output + own.output;
    if row < total && output < dims.outputs {
        var sum = own.sum;
        if FACTOR_AFTER && dims.normed == 1u {
            sum /= sqrt(own.square / f32(dims.cols) + dims.epsilon);
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
    //@ no sums yet
    for (var chunk = thread % 16u; chunk * 8u < dims.cols; chunk += 16u) {
        let w = weight_block(output + thread / 16u, chunk);
        let g = gain_octet(chunk);
        //@ the bias of the norm
        //@ the products of each row
    }
    //@ the sums of each row are finished
}
