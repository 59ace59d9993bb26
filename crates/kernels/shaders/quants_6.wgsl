// Quants 8 * part .. 8 * part + 8 of a unit of 32.
fn quant_octet(unit: u32, part: u32) -> OctetBits {
    let high = plane_2(quants[unit * 6u + 4u + part / 2u] >> (16u * (part % 2u)));
    return stacked(plane_4(quants[unit * 6u + part]), high, 4u);
}
