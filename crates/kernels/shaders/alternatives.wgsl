// The eight most probable tokens of each pick, descending, ties by id; runs after `sample.wgsl`, whose record tells
// the normaliser.
struct Dims {
    tokens: u32,
    stride: u32,
    over_picks: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> picks: array<Pick>;
@group(0) @binding(3) var<storage, read> logits: array<f32>;
@group(0) @binding(4) var<storage, read> records: array<u32>;
// [pick][eight][token, log probability]
@group(0) @binding(5) var<storage, read_write> alternatives: array<u32>;

const THREADS = 256u;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    if group.y >= current.picks {
        return;
    }
    let base = select(picks[group.y].row, group.y, dims.over_picks == 1u) * dims.stride;
    let normaliser = logits[base + records[group.y * 2u]] - bitcast<f32>(records[group.y * 2u + 1u]);
    var last_order = 0xffffffffu;
    var last_token = 0u;
    for (var rank = 0u; rank < min(8u, dims.tokens); rank++) {
        var here = Best(0u, 0u);
        for (var token = thread; token < dims.tokens; token += THREADS) {
            let value = order(logits[base + token]);
            let comes_later = value < last_order || (value == last_order && token > last_token);
            if comes_later && value > here.order {
                here = Best(value, token);
            }
        }
        let best = best_of_threads(thread, here);
        last_order = best.order;
        last_token = best.token;
        if thread == 0u {
            let at = (group.y * 8u + rank) * 2u;
            alternatives[at] = last_token;
            alternatives[at + 1u] = bitcast<u32>(logits[base + last_token] - normaliser);
        }
    }
}
