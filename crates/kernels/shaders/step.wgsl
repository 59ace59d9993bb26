// What differs between two replays of a plan; written by `plan.rs`.
struct Step {
    rows: u32,
    picks: u32,
    top_k: u32,
    // top-p in parts of 65,536
    share: u32,
    temperature: f32,
    seed: u32,
    // where captures begin in the stores
    store_row: u32,
    unused: u32,
    coefficients: array<vec4f, 8>,
}

struct Row {
    token: u32,
    position: u32,
    kv_start: u32,
    edits: u32,
}

struct Pick {
    row: u32,
    lane: u32,
    draw: u32,
}

// The index of a workgroup across the width: a count beyond one dimension's limit spills into z (`grid.rs`).
fn across(group: vec3u, groups: vec3u) -> u32 {
    return group.x + group.z * groups.x;
}
