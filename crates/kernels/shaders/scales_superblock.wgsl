@group(0) @binding(9) var<storage, read> scales: array<u32>;

// For every 256 weights a word with two f16, then for each of GROUPS groups an i8 and a u8 that multiply them.
fn scale_and_offset(row: u32, chunk: u32, cols: u32) -> vec2f {
    let at = (row * (cols / 256u) + chunk / 32u) * (1u + GROUPS / 2u);
    let group = (chunk % 32u) * GROUPS / 32u;
    let factors = scales[at + 1u + group / 2u] >> (16u * (group % 2u));
    let scale = f32(i32(factors << 24u) >> 24u);
    let offset = f32((factors >> 8u) & 255u);
    return unpack2x16float(scales[at]) * vec2f(scale, -offset);
}
