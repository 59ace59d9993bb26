// y[r] = scale * table[token of row r], or y[r] += table[position of row r], for the rows that this part of the table
// holds.
struct Dims {
    cols: u32,
    first_row: u32,
    rows_here: u32,
    rows: u32,
    y_stride: u32,
    by_position: u32,
    scale: f32,
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
    let by_position = dims.by_position == 1u;
    var index = select(rows[row].token, rows[row].position, by_position);
    if !by_position && (index & LANE_BIT) != 0u {
        index = lane_tokens[index & ~LANE_BIT];
    }
    index = min(index, dims.rows - 1u);
    if index < dims.first_row || index - dims.first_row >= dims.rows_here {
        return;
    }
    let octet = weight_octet(index - dims.first_row, chunk, dims.cols);
    let at = row * dims.y_stride + chunk * 8u;
    for (var i = 0u; i < min(8u, dims.cols - chunk * 8u); i++) {
        let value = select(octet.hi[i % 4u], octet.lo[i % 4u], i < 4u);
        if by_position {
            y[at + i] += value;
        } else {
            y[at + i] = dims.scale * value;
        }
    }
}
