// Repetition penalty (Keskar et al. 2019, section 4.1, with the sign rule that implementations share): the logit of
// every token that the row's sequence holds so far is divided by the penalty where positive, else multiplied. Each
// token counts once, however often it occurs: all new values are made from the old logits before any is written. One
// workgroup a row.
struct Dims {
    tokens: u32,
    stride: u32,
    over_picks: u32,
    text_rows: u32,
    penalty: f32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read> picks: array<Pick>;
// A word for each row of the key and value cache.
@group(0) @binding(4) var<storage, read> text: array<u32>;
// [rows of logits, text_rows]: the new value of each place's token
@group(0) @binding(5) var<storage, read_write> penalised: array<u32>;
// Atomic, as several threads may write one number, though all of them write the same.
@group(0) @binding(6) var<storage, read_write> logits: array<atomic<u32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    if group.y >= select(current.rows, current.picks, dims.over_picks == 1u) {
        return;
    }
    var index = group.y;
    if dims.over_picks == 1u {
        index = picks[group.y].row;
    }
    let row = rows[index];
    let base = group.y * dims.stride;
    let scratch = group.y * dims.text_rows;
    for (var position = thread; position <= row.position; position += 256u) {
        let token = text[row.kv_start + position];
        if token < dims.tokens {
            let logit = bitcast<f32>(atomicLoad(&logits[base + token]));
            let value = select(logit * dims.penalty, logit / dims.penalty, logit > 0.0);
            penalised[scratch + position] = bitcast<u32>(value);
        }
    }
    storageBarrier();
    for (var position = thread; position <= row.position; position += 256u) {
        let token = text[row.kv_start + position];
        if token < dims.tokens {
            atomicStore(&logits[base + token], penalised[scratch + position]);
        }
    }
}
