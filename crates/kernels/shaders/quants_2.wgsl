// Quants 8 * part .. 8 * part + 8 of a unit of 32.
fn quant_octet(unit: u32, part: u32) -> OctetBits {
    return plane_2(quants[unit * 2u + part / 2u] >> (16u * (part % 2u)));
}
