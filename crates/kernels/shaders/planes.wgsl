// Eight quants out of a bit plane (`packing.rs`): 32 quants of a plane of `b` bits take `b` words.
fn plane_1(bits: u32) -> OctetBits {
    return OctetBits((vec4u(bits) >> vec4u(0u, 1u, 2u, 3u)) & vec4u(1u), (vec4u(bits) >> vec4u(4u, 5u, 6u, 7u)) & vec4u(1u));
}

fn plane_2(bits: u32) -> OctetBits {
    return OctetBits((vec4u(bits) >> vec4u(0u, 2u, 4u, 6u)) & vec4u(3u), (vec4u(bits) >> vec4u(8u, 10u, 12u, 14u)) & vec4u(3u));
}

fn plane_4(bits: u32) -> OctetBits {
    return OctetBits((vec4u(bits) >> vec4u(0u, 4u, 8u, 12u)) & vec4u(15u), (vec4u(bits) >> vec4u(16u, 20u, 24u, 28u)) & vec4u(15u));
}

fn plane_8(lo: u32, hi: u32) -> OctetBits {
    return OctetBits((vec4u(lo) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u), (vec4u(hi) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u));
}

fn stacked(low: OctetBits, high: OctetBits, shift: u32) -> OctetBits {
    return OctetBits(low.lo | (high.lo << vec4u(shift)), low.hi | (high.hi << vec4u(shift)));
}
