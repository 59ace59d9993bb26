// y[r] = table[token of row r], for the tokens that this part of the table holds.
struct Dims {
    cols: u32,
    first_token: u32,
    tokens_here: u32,
    tokens: u32,
    y_stride: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read> lane_tokens: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(8) var<storage, read> quants: array<u32>;

const LANE_BIT = 0x80000000u;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.y;
    let chunk = across(group, groups) * 64u + thread;
    if row >= current.rows || chunk * 8u >= dims.cols {
        return;
    }
    var token = rows[row].token;
    if (token & LANE_BIT) != 0u {
        token = lane_tokens[token & ~LANE_BIT];
    }
    token = min(token, dims.tokens - 1u);
    if token < dims.first_token || token - dims.first_token >= dims.tokens_here {
        return;
    }
    let octet = weight_octet(token - dims.first_token, chunk, dims.cols);
    let at = row * dims.y_stride + chunk * 8u;
    for (var i = 0u; i < min(8u, dims.cols - chunk * 8u); i++) {
        y[at + i] = select(octet.hi[i % 4u], octet.lo[i % 4u], i < 4u);
    }
}
