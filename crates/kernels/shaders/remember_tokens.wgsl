// Writes each row's token to its place in the text.
struct Dims {
    unused: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read> lane_tokens: array<u32>;
// A word for each row of the key and value cache.
@group(0) @binding(4) var<storage, read_write> text: array<u32>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3u) {
    if group.y >= current.rows {
        return;
    }
    let row = rows[group.y];
    text[row.kv_start + row.position] = row_token(row.token);
}
