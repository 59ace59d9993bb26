// The next eight bits of the cut, from which on a batch's numbers are kept: the k-th largest for each row of the batch, or
// the smallest where fewer are above 0 (numbers above 0 order as their bits do). One workgroup.
struct Dims {
    // the place of the eight bits
    shift: u32,
    k: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
// The cut's bits; how many are still to be kept; the bits of the mean of the batches' cuts, and whether there is one;
// then the histogram.
@group(0) @binding(2) var<storage, read_write> cut: array<u32>;

const FIRST = 4u;
// Of a batch without anything above 0.
const NOTHING = 0xffffffffu;
// How fast the mean follows, as SAELens has it.
const RATE: f32 = 0.01;

var<workgroup> counts: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32) {
    counts[thread] = cut[FIRST + thread];
    cut[FIRST + thread] = 0u;
    workgroupBarrier();
    if thread > 0u || current.rows == 0u {
        return;
    }
    var bits = cut[0];
    var wanted = cut[1];
    if dims.shift == 24u {
        var total = 0u;
        for (var bin = 0u; bin < 256u; bin++) {
            total += counts[bin];
        }
        wanted = min(dims.k * current.rows, total);
        bits = select(0u, NOTHING, total == 0u);
    }
    if bits == NOTHING {
        cut[0] = bits;
        return;
    }
    var bin = 255u;
    while bin > 0u && counts[bin] < wanted {
        wanted -= counts[bin];
        bin--;
    }
    bits |= bin << dims.shift;
    cut[0] = bits;
    cut[1] = wanted;
    if dims.shift == 0u {
        let lowest = bitcast<f32>(bits);
        let mean = bitcast<f32>(cut[2]);
        cut[2] = bitcast<u32>(select(lowest, mean + RATE * (lowest - mean), cut[3] == 1u));
        cut[3] = 1u;
    }
}
