// Chunk `chunk` (eight weights) of row `row`.
fn weight_octet(row: u32, chunk: u32, cols: u32) -> Octet {
    let at = (row * ((cols + 7u) / 8u) + chunk) * 4u;
    return Octet(
        vec4f(unpack2x16float(quants[at]), unpack2x16float(quants[at + 1u])),
        vec4f(unpack2x16float(quants[at + 2u]), unpack2x16float(quants[at + 3u])),
    );
}
