// Opens the gate of a row where the condition fired at its position or at an earlier one of its sequence; runs after
// `gate.wgsl`, which has written the step's own part of `fired`. One workgroup a row.
struct Dims {
    unused: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
// A word for each row of the key and value cache.
@group(0) @binding(3) var<storage, read> fired: array<u32>;
@group(0) @binding(4) var<storage, read_write> gate: array<u32>;

var<workgroup> seen: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    if group.y >= current.rows {
        return;
    }
    let row = rows[group.y];
    var found = 0u;
    for (var position = thread; position <= row.position; position += 64u) {
        found |= u32(fired[row.kv_start + position] == 1u);
    }
    seen[thread] = found;
    workgroupBarrier();
    if thread == 0u {
        for (var i = 1u; i < 64u; i++) {
            found |= seen[i];
        }
        gate[group.y] = found;
    }
}
