// Opens the gate of a row whose token is in a set.
struct Dims {
    slot: u32,
    tokens: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read> lane_tokens: array<u32>;
// Bit t % 32 of word t / 32 is set where token t belongs to the set.
@group(0) @binding(4) var<storage, read> members: array<u32>;
@group(0) @binding(5) var<storage, read_write> gate: array<u32>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3u) {
    if group.y >= current.rows {
        return;
    }
    let row = rows[group.y];
    let token = row_token(row.token);
    var open = 0u;
    if ((row.edits >> dims.slot) & 1u) == 1u && token < dims.tokens {
        open = (members[token / 32u] >> (token % 32u)) & 1u;
    }
    gate[group.y] = open;
}
