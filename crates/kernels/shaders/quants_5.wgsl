// Quants 8 * part .. 8 * part + 8 of a unit of 32.
fn quant_octet(unit: u32, part: u32) -> OctetBits {
    return stacked(plane_4(quants[unit * 5u + part]), plane_1(quants[unit * 5u + 4u] >> (8u * part)), 4u);
}
