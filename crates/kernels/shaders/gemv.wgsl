// y[r, y_first + o] = W[o] . x[r] for up to four rows r a workgroup, with x optionally RMS-normalised on the way:
// the norm's gain multiplies x, its factor multiplies the sum, and the squares are summed beside the products.
// A workgroup computes eight outputs: sixteen threads share one, and each thread works on two.
struct Dims {
    cols: u32,
    outputs: u32,
    x_stride: u32,
    y_stride: u32,
    y_first: u32,
    over_picks: u32,
    normed: u32,
    biased: u32,
    added: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> gain: array<vec4f>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(8) var<storage, read> quants: array<u32>;

// [output of eight][thread of sixteen], a component for each row
var<workgroup> products: array<vec4f, 128>;
// [thread of sixteen]
var<workgroup> squares: array<vec4f, 16>;

fn x_octet(row: u32, chunk: u32) -> Octet {
    let at = row * (dims.x_stride / 4u) + chunk * 2u;
    return within(Octet(x[at], x[at + 1u]), chunk * 8u, dims.cols);
}

fn inner(a: Octet, b: Octet) -> f32 {
    return dot(a.lo, b.lo) + dot(a.hi, b.hi);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let total = select(step.rows, step.picks, dims.over_picks == 1u);
    let first_row = group.y * 4u;
    let first_output = across(group, groups) * 8u;
    if first_row >= total || first_output >= dims.outputs {
        return;
    }
    let count = min(total - first_row, 4u);
    let share = thread % 16u;
    let slot = thread / 16u;
    let last = dims.outputs - 1u;
    let output_a = min(first_output + slot, last);
    let output_b = min(first_output + slot + 4u, last);
    var sum_a = vec4f(0.0);
    var sum_b = vec4f(0.0);
    var square = vec4f(0.0);
    for (var chunk = share; chunk * 8u < dims.cols; chunk += 16u) {
        var w_a = weight_octet(output_a, chunk, dims.cols);
        var w_b = weight_octet(output_b, chunk, dims.cols);
        if dims.normed == 1u {
            let lo = gain[chunk * 2u];
            let hi = gain[chunk * 2u + 1u];
            w_a = Octet(w_a.lo * lo, w_a.hi * hi);
            w_b = Octet(w_b.lo * lo, w_b.hi * hi);
        }
        let x_0 = x_octet(first_row, chunk);
        sum_a.x += inner(w_a, x_0);
        sum_b.x += inner(w_b, x_0);
        square.x += inner(x_0, x_0);
        if count > 1u {
            let x_1 = x_octet(first_row + 1u, chunk);
            sum_a.y += inner(w_a, x_1);
            sum_b.y += inner(w_b, x_1);
            square.y += inner(x_1, x_1);
        }
        if count > 2u {
            let x_2 = x_octet(first_row + 2u, chunk);
            sum_a.z += inner(w_a, x_2);
            sum_b.z += inner(w_b, x_2);
            square.z += inner(x_2, x_2);
        }
        if count > 3u {
            let x_3 = x_octet(first_row + 3u, chunk);
            sum_a.w += inner(w_a, x_3);
            sum_b.w += inner(w_b, x_3);
            square.w += inner(x_3, x_3);
        }
    }
    products[slot * 16u + share] = sum_a;
    products[(slot + 4u) * 16u + share] = sum_b;
    if slot == 0u {
        squares[share] = square;
    }
    workgroupBarrier();

    // Thread t finishes output t / 4 of row t % 4.
    let row = thread % 4u;
    let output = first_output + thread / 4u;
    if thread >= 32u || row >= count || output >= dims.outputs {
        return;
    }
    var sum = 0.0;
    for (var i = 0u; i < 16u; i++) {
        sum += products[(thread / 4u) * 16u + i][row];
    }
    if dims.normed == 1u {
        var square_sum = 0.0;
        for (var i = 0u; i < 16u; i++) {
            square_sum += squares[i][row];
        }
        sum /= sqrt(square_sum / f32(dims.cols) + dims.epsilon);
    }
    if dims.biased == 1u {
        sum += bias[dims.y_first + output];
    }
    let at = (first_row + row) * dims.y_stride + dims.y_first + output;
    if dims.added == 1u {
        sum += y[at];
    }
    y[at] = sum;
}
