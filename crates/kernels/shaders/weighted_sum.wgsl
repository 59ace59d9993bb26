// y[c] = sum over the rows of a store of weights[row] * x[row, c]: of the part that is here, added to what the parts
// before it gave. Eight threads share a column, so that its running sums are short.
struct Dims {
    width: u32,
    // what this part holds of the store's rows
    first_row: u32,
    rows_here: u32,
    // another part came before
    adds: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
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
    var sum = 0.0;
    if group.y < current.rows && column < dims.width {
        for (var row = thread / COLUMNS; row < dims.rows_here; row += THREADS / COLUMNS) {
            sum += weights[dims.first_row + row] * x[row * dims.width + column];
        }
    }
    sums[thread] = sum;
    for (var half = THREADS / 2u; half >= COLUMNS; half /= 2u) {
        workgroupBarrier();
        if thread < half {
            sums[thread] += sums[thread + half];
        }
    }
    if thread >= COLUMNS || group.y >= current.rows || column >= dims.width {
        return;
    }
    if dims.adds == 1u {
        y[column] += sums[thread];
    } else {
        y[column] = sums[thread];
    }
}
