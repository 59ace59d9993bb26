// y = c (a b + bias + s), or added to y: matrices of floats of any shape, either of which may be read turned. A workgroup
// takes a tile of 64 by 64 and goes through the inner dimension by 16: each thread multiplies a block of 4 by 4 in its
// registers. A sum runs through the inner dimension in order.
struct Dims {
    // of y, and the inner dimension; 0 stands for the rows of the step
    rows: u32,
    cols: u32,
    inner: u32,
    a_stride: u32,
    a_turned: u32,
    b_stride: u32,
    b_turned: u32,
    y_stride: u32,
    biased: u32,
    // 0: there is no s; 1: it is added; 2: it is taken off
    beside: u32,
    s_stride: u32,
    // where c lies in the step; beyond its end for 1
    slot: u32,
    adds: u32,
    // nothing is done where the figures count no dead feature
    guarded: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read> s: array<f32>;
@group(0) @binding(7) var<storage, read> figures: array<u32>;

const SIDE = 64u;
const DEPTH = 16u;
// Fours of a tile's side, and one more, so that neighbouring threads meet no common bank.
const PITCH = 17u;

// [inner][four rows of a, or columns of b]
var<workgroup> a_tile: array<vec4f, DEPTH * PITCH>;
var<workgroup> b_tile: array<vec4f, DEPTH * PITCH>;

fn extent(recorded: u32) -> u32 {
    return select(recorded, current.rows, recorded == 0u);
}

fn a_at(row: u32, i: u32, rows: u32, inner: u32) -> f32 {
    if row >= rows || i >= inner {
        return 0.0;
    }
    return a[select(row * dims.a_stride + i, i * dims.a_stride + row, dims.a_turned == 1u)];
}

fn b_at(i: u32, col: u32, inner: u32, cols: u32) -> f32 {
    if i >= inner || col >= cols {
        return 0.0;
    }
    return b[select(i * dims.b_stride + col, col * dims.b_stride + i, dims.b_turned == 1u)];
}

fn store(row: u32, col: u32, rows: u32, cols: u32, sums: vec4f) {
    if row >= rows {
        return;
    }
    let c = select(1.0, coefficient_of(min(dims.slot, 31u)), dims.slot < 32u);
    for (var j = 0u; j < 4u && col + j < cols; j++) {
        var sum = sums[j];
        if dims.biased == 1u {
            sum += bias[col + j];
        }
        if dims.beside != 0u {
            let beside = s[row * dims.s_stride + col + j];
            sum += select(beside, -beside, dims.beside == 2u);
        }
        sum *= c;
        let at = row * dims.y_stride + col + j;
        if dims.adds == 1u {
            sum += y[at];
        }
        y[at] = sum;
    }
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let rows = extent(dims.rows);
    let cols = extent(dims.cols);
    let inner = extent(dims.inner);
    let tiles_across = (cols + SIDE - 1u) / SIDE;
    let tile = across(group, groups);
    let first_row = tile / tiles_across * SIDE;
    let first_col = tile % tiles_across * SIDE;
    if first_row >= rows || (dims.guarded == 1u && figures[0] == 0u) {
        return;
    }
    // Neighbouring threads read neighbouring numbers, whichever way a matrix lies.
    let along_fours = vec2u(thread % 16u, thread / 16u);
    let along_inner = along_fours.yx;
    let a_place = select(along_inner, along_fours, dims.a_turned == 1u);
    let b_place = select(along_fours, along_inner, dims.b_turned == 1u);
    var sums: array<vec4f, 4>;
    for (var i = 0u; i < inner; i += DEPTH) {
        // The tile before has been used.
        workgroupBarrier();
        let row = first_row + 4u * a_place.x;
        let a_i = i + a_place.y;
        a_tile[a_place.y * PITCH + a_place.x] = vec4f(
            a_at(row, a_i, rows, inner),
            a_at(row + 1u, a_i, rows, inner),
            a_at(row + 2u, a_i, rows, inner),
            a_at(row + 3u, a_i, rows, inner),
        );
        let col = first_col + 4u * b_place.x;
        let b_i = i + b_place.y;
        b_tile[b_place.y * PITCH + b_place.x] = vec4f(
            b_at(b_i, col, inner, cols),
            b_at(b_i, col + 1u, inner, cols),
            b_at(b_i, col + 2u, inner, cols),
            b_at(b_i, col + 3u, inner, cols),
        );
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d++) {
            let left = a_tile[d * PITCH + thread / 16u];
            let right = b_tile[d * PITCH + thread % 16u];
            sums[0] += left.x * right;
            sums[1] += left.y * right;
            sums[2] += left.z * right;
            sums[3] += left.w * right;
        }
    }
    let row = first_row + thread / 16u * 4u;
    let col = first_col + thread % 16u * 4u;
    store(row, col, rows, cols, sums[0]);
    store(row + 1u, col, rows, cols, sums[1]);
    store(row + 2u, col, rows, cols, sums[2]);
    store(row + 3u, col, rows, cols, sums[3]);
}
