@group(0) @binding(9) var<storage, read> scales: array<u32>;

// An f16 scale and an f16 offset for every 32 weights.
fn scale_and_offset(row: u32, chunk: u32, cols: u32) -> vec2f {
    return unpack2x16float(scales[row * (cols / 32u) + chunk / 4u]);
}
