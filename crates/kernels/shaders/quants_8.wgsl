// Quants 8 * part .. 8 * part + 8 of a unit of 32.
fn quant_octet(unit: u32, part: u32) -> OctetBits {
    return plane_8(quants[unit * 8u + part * 2u], quants[unit * 8u + part * 2u + 1u]);
}
