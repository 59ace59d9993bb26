// y[r, y_first + o] = W[o] . x[r] for many rows. A workgroup takes a tile of 64 outputs by 16 or 64 rows (`matmul_text.rs`)
// and goes through the columns by tiles of 16: its threads decode the weights of a tile once and transpose the rows'
// numbers, then each multiplies a block of outputs by a block of rows in its registers. A sum runs through the columns
// in order, whatever the tile: a row's numbers do not depend on how many rows there are.
struct Dims {
    cols: u32,
    outputs: u32,
    x_stride: u32,
    y_stride: u32,
    y_first: u32,
    over_picks: u32,
    biased: u32,
    added: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(8) var<storage, read> quants: array<u32>;

const THREADS = ACROSS * DOWN;
const OUTPUTS = ACROSS * OUTPUTS_A_THREAD;
const QUADS = DOWN * QUADS_A_THREAD;
// Of eight and of four columns in a tile.
const CHUNKS = 2u;
const FOURS = 4u;

// [output][four columns], permuted so that neighbouring threads meet no common bank
var<workgroup> w_tile: array<vec4f, OUTPUTS * FOURS>;
// [column][four rows]
var<workgroup> x_tile: array<vec4f, 4u * FOURS * QUADS>;

fn w_place(output: u32, four: u32) -> u32 {
    return output * FOURS + (four ^ ((output / 2u) % FOURS));
}

// Four numbers of a row; 0 beyond its end.
fn x_four(row: u32, four: u32) -> vec4f {
    let columns = vec4u(four * 4u) + vec4u(0u, 1u, 2u, 3u);
    return select(vec4f(0.0), x[row * (dims.x_stride / 4u) + four], columns < vec4u(dims.cols));
}

fn load_weights(thread: u32, first_output: u32, first_chunk: u32) {
    for (var i = thread; i < OUTPUTS * CHUNKS; i += THREADS) {
        let output = i / CHUNKS;
        let chunk = i % CHUNKS;
        var w = Octet(vec4f(0.0), vec4f(0.0));
        if (first_chunk + chunk) * 8u < dims.cols {
            w = weight_octet(min(first_output + output, dims.outputs - 1u), first_chunk + chunk, dims.cols);
        }
        w_tile[w_place(output, chunk * 2u)] = w.lo;
        w_tile[w_place(output, chunk * 2u + 1u)] = w.hi;
    }
}

// Rows that the step does not have repeat the last one it has, and are not stored.
fn load_rows(thread: u32, first_row: u32, last: u32, first_four: u32) {
    for (var i = thread; i < QUADS * FOURS; i += THREADS) {
        let quad = i % QUADS;
        let four = i / QUADS;
        let row = first_row + quad * 4u;
        let a = x_four(min(row, last), first_four + four);
        let b = x_four(min(row + 1u, last), first_four + four);
        let c = x_four(min(row + 2u, last), first_four + four);
        let d = x_four(min(row + 3u, last), first_four + four);
        let at = four * 4u * QUADS + quad;
        x_tile[at] = vec4f(a.x, b.x, c.x, d.x);
        x_tile[at + QUADS] = vec4f(a.y, b.y, c.y, d.y);
        x_tile[at + 2u * QUADS] = vec4f(a.z, b.z, c.z, d.z);
        x_tile[at + 3u * QUADS] = vec4f(a.w, b.w, c.w, d.w);
    }
}

fn store(total: u32, first_row: u32, output: u32, sums: vec4f) {
    if output >= dims.outputs {
        return;
    }
    for (var i = 0u; i < min(4u, total - min(total, first_row)); i++) {
        var sum = sums[i];
        if dims.biased == 1u {
            sum += bias[dims.y_first + output];
        }
        let at = (first_row + i) * dims.y_stride + dims.y_first + output;
        if dims.added == 1u {
            sum += y[at];
        }
        y[at] = sum;
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let total = select(current.rows, current.picks, dims.over_picks == 1u);
    let row = group.y * QUADS * 4u;
    let output = across(group, groups) * OUTPUTS;
    if row >= total || output >= dims.outputs {
        return;
    }
    let tx = thread % ACROSS;
    let ty = thread / ACROSS;
    //@ sums of each output and four rows
    for (var chunk = 0u; chunk * 8u < dims.cols; chunk += CHUNKS) {
        // The tile before has been used.
        workgroupBarrier();
        load_weights(thread, output, chunk);
        load_rows(thread, row, total - 1u, chunk * 2u);
        workgroupBarrier();
        for (var four = 0u; four < FOURS; four++) {
            //@ the products of four columns
        }
    }
    //@ the end of each output and four rows
}
