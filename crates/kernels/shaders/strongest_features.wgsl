// The strongest features of a row, descending, as pairs of number and value; one workgroup a row.
struct Dims {
    width: u32,
    stride: u32,
    over_picks: u32,
    most: u32,
    place_bits: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> h: array<f32>;
// [row][most][number, value]
@group(0) @binding(3) var<storage, read_write> strongest: array<f32>;

// As many as `MOST_STRONGEST` in `recorder/features.rs`.
var<workgroup> found: array<u32, 64>;
var<workgroup> count: atomic<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    if group.y >= select(current.rows, current.picks, dims.over_picks == 1u) {
        return;
    }
    let base = group.y * dims.stride;
    let cut = cut_of(thread, base, dims.width, dims.most, dims.place_bits);
    if thread == 0u {
        atomicStore(&count, 0u);
    }
    workgroupBarrier();
    for (var i = thread; i < dims.width; i += THREADS) {
        if is_largest(cut, h[base + i], i) {
            found[min(atomicAdd(&count, 1u), 63u)] = i;
        }
    }
    workgroupBarrier();
    // They were found in any order: each one's rank is the number of those that come before it.
    let total = min(atomicLoad(&count), dims.most);
    if thread >= dims.most {
        return;
    }
    var rank = thread;
    var number = 0.0;
    var value = 0.0;
    if thread < total {
        let place = found[thread];
        value = h[base + place];
        number = f32(place);
        rank = 0u;
        for (var other = 0u; other < total; other++) {
            let of_other = h[base + found[other]];
            rank += u32(of_other > value || (of_other == value && found[other] < place));
        }
    }
    let at = (group.y * dims.most + rank) * 2u;
    strongest[at] = number;
    strongest[at + 1u] = value;
}
