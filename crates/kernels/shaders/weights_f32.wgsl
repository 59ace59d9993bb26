// Chunk `chunk` (eight weights) of row `row`.
fn weight_octet(row: u32, chunk: u32, cols: u32) -> Octet {
    let at = (row * ((cols + 7u) / 8u) + chunk) * 8u;
    return Octet(
        bitcast<vec4f>(vec4u(quants[at], quants[at + 1u], quants[at + 2u], quants[at + 3u])),
        bitcast<vec4f>(vec4u(quants[at + 4u], quants[at + 5u], quants[at + 6u], quants[at + 7u])),
    );
}
