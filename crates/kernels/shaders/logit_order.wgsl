// An integer that orders as the float does; -0 counts as 0.
fn order(value: f32) -> u32 {
    let raw = bitcast<u32>(value);
    let bits = select(raw, 0u, raw == 0x80000000u);
    return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}
