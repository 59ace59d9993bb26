@group(0) @binding(9) var<storage, read> scales: array<u32>;

// One f16 for every 32 weights, two a word.
fn scale_and_offset(row: u32, chunk: u32, cols: u32) -> vec2f {
    let words = (cols / 32u + 1u) / 2u;
    let pair = unpack2x16float(scales[row * words + chunk / 8u]);
    return vec2f(select(pair.x, pair.y, (chunk / 4u) % 2u == 1u), 0.0);
}
