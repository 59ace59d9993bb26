// Which numbers of h[base .. base + width] are its k largest that are above 0; of equal ones the first. Found bit by
// bit: numbers above 0 order as their bits do. 256 threads; all of them call this, and all get the same.
//@ over 256 threads, u32: count_over_threads = a + b

const THREADS = 256u;

struct Cut {
    // the bits of the k-th largest, or 0 where fewer than k are above 0
    bits: u32,
    // of those equal to it, the ones before this place belong to the k
    place: u32,
}

// 0 for what is not above 0.
fn positive_bits(value: f32) -> u32 {
    return select(0u, bitcast<u32>(value), value > 0.0);
}

fn is_largest(cut: Cut, value: f32, place: u32) -> bool {
    let bits = positive_bits(value);
    return bits > cut.bits || (bits == cut.bits && bits > 0u && place < cut.place);
}

fn cut_of(thread: u32, base: u32, width: u32, k: u32, place_bits: u32) -> Cut {
    var bits = 0u;
    // How many are larger than `bits`.
    var larger = 0u;
    for (var bit = 31u; bit > 0u; bit--) {
        let candidate = bits | (1u << (bit - 1u));
        var mine = 0u;
        for (var i = thread; i < width; i += THREADS) {
            mine += u32(positive_bits(h[base + i]) >= candidate);
        }
        let reach = count_over_threads(thread, mine);
        if reach >= k {
            bits = candidate;
        } else {
            larger = reach;
        }
    }
    let wanted = k - larger;
    // The last place before which there are fewer than are wanted.
    var place = 0u;
    for (var bit = place_bits; bit > 0u; bit--) {
        let candidate = place | (1u << (bit - 1u));
        var mine = 0u;
        for (var i = thread; i < min(width, candidate); i += THREADS) {
            mine += u32(positive_bits(h[base + i]) == bits);
        }
        if count_over_threads(thread, mine) < wanted {
            place = candidate;
        }
    }
    return Cut(bits, place + 1u);
}
