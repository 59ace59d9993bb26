// y[c] = factor * sum over rows of w[row] * x[row, c], or added to y. Eight threads share a column, so that its running
// sums are short.
struct Dims {
    width: u32,
    stride: u32,
    // 0 stands for those of the step
    rows: u32,
    weighted: u32,
    factor: f32,
    // where another factor lies in the step; beyond its end for 1
    slot: u32,
    adds: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> w: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

const COLUMNS = 32u;
const THREADS = 256u;

var<workgroup> sums: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let column = across(group, groups) * COLUMNS + thread % COLUMNS;
    let rows = select(dims.rows, current.rows, dims.rows == 0u);
    var sum = 0.0;
    if column < dims.width {
        for (var row = thread / COLUMNS; row < rows; row += THREADS / COLUMNS) {
            let value = x[row * dims.stride + column];
            if dims.weighted == 1u {
                sum += w[row] * value;
            } else {
                sum += value;
            }
        }
    }
    sums[thread] = sum;
    for (var half = THREADS / 2u; half >= COLUMNS; half /= 2u) {
        workgroupBarrier();
        if thread < half {
            sums[thread] += sums[thread + half];
        }
    }
    if thread >= COLUMNS || column >= dims.width {
        return;
    }
    let factor = dims.factor * select(1.0, coefficient_of(min(dims.slot, 31u)), dims.slot < 32u);
    let own = factor * sums[thread];
    if dims.adds == 1u {
        y[column] += own;
    } else {
        y[column] = own;
    }
}
