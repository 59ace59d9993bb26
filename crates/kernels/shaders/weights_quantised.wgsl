// Chunk `chunk` (eight weights) of row `row`: scale * (quant - zero) + offset.
fn weight_octet(row: u32, chunk: u32, cols: u32) -> Octet {
    let bits = quant_octet(row * (cols / 32u) + chunk / 4u, chunk % 4u);
    let factors = scale_and_offset(row, chunk, cols);
    return Octet(
        factors.x * (vec4f(bits.lo) - ZERO) + factors.y,
        factors.x * (vec4f(bits.hi) - ZERO) + factors.y,
    );
}
