// Quants 8 * part .. 8 * part + 8 of a unit of 32.
fn quant_octet(unit: u32, part: u32) -> OctetBits {
    let low = plane_2(quants[unit * 3u + part / 2u] >> (16u * (part % 2u)));
    return stacked(low, plane_1(quants[unit * 3u + 2u] >> (8u * part)), 2u);
}
