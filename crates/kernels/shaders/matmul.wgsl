// y[r, y_first + o] = W[o] . x[r], in tiles of 32 rows by 32 outputs by 32 columns, for steps of many rows.
// Each of 64 threads owns 4 x 4 outputs, eight rows and eight outputs apart.
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

// Rows of eight vec4f and one of padding, so that neighbouring rows do not share a memory bank.
const PITCH = 9u;
var<workgroup> x_tile: array<vec4f, 288>;
var<workgroup> w_tile: array<vec4f, 288>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let first_row = group.y * 32u;
    let first_output = across(group, groups) * 32u;
    if first_row >= step.rows || first_output >= dims.outputs {
        return;
    }
    let row_slot = thread / 8u;
    let output_slot = thread % 8u;
    var sums = array<vec4f, 4>(vec4f(0.0), vec4f(0.0), vec4f(0.0), vec4f(0.0));
    for (var tile = 0u; tile < dims.cols; tile += 32u) {
        // 32 rows by four octets of each side: two octets of each a thread.
        for (var i = 0u; i < 2u; i++) {
            let line = thread / 4u + i * 16u;
            let chunk = tile / 8u + thread % 4u;
            var x_octet = Octet(vec4f(0.0), vec4f(0.0));
            var w_octet = Octet(vec4f(0.0), vec4f(0.0));
            if chunk * 8u < dims.cols {
                if first_row + line < step.rows {
                    let at = (first_row + line) * (dims.x_stride / 4u) + chunk * 2u;
                    x_octet = within(Octet(x[at], x[at + 1u]), chunk * 8u, dims.cols);
                }
                if first_output + line < dims.outputs {
                    w_octet = weight_octet(first_output + line, chunk, dims.cols);
                }
            }
            let at = line * PITCH + (thread % 4u) * 2u;
            x_tile[at] = x_octet.lo;
            x_tile[at + 1u] = x_octet.hi;
            w_tile[at] = w_octet.lo;
            w_tile[at + 1u] = w_octet.hi;
        }
        workgroupBarrier();
        for (var k = 0u; k < 8u; k++) {
            let w_0 = w_tile[output_slot * PITCH + k];
            let w_1 = w_tile[(output_slot + 8u) * PITCH + k];
            let w_2 = w_tile[(output_slot + 16u) * PITCH + k];
            let w_3 = w_tile[(output_slot + 24u) * PITCH + k];
            for (var i = 0u; i < 4u; i++) {
                let x_k = x_tile[(row_slot + i * 8u) * PITCH + k];
                sums[i] += vec4f(dot(x_k, w_0), dot(x_k, w_1), dot(x_k, w_2), dot(x_k, w_3));
            }
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i++) {
        let row = first_row + row_slot + i * 8u;
        for (var j = 0u; j < 4u; j++) {
            let output = first_output + output_slot + j * 8u;
            if row < step.rows && output < dims.outputs {
                var sum = sums[i][j];
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
    }
}
