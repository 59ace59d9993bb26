fn two_bf16(word: u32) -> vec2f {
    return bitcast<vec2f>(vec2u(word << 16u, word & 0xffff0000u));
}

// Chunk `chunk` (eight weights) of row `row`.
fn weight_octet(row: u32, chunk: u32, cols: u32) -> Octet {
    let at = (row * ((cols + 7u) / 8u) + chunk) * 4u;
    return Octet(
        vec4f(two_bf16(quants[at]), two_bf16(quants[at + 1u])),
        vec4f(two_bf16(quants[at + 2u]), two_bf16(quants[at + 3u])),
    );
}
