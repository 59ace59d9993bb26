// How many of a batch's numbers above 0 have each value of eight bits, of those that agree with the cut in the bits above
// (`batch_cut.wgsl`). A workgroup takes 4096 columns of a row.
struct Dims {
    width: u32,
    stride: u32,
    // the place of the eight bits
    shift: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> h: array<f32>;
@group(0) @binding(3) var<storage, read_write> cut: array<atomic<u32>>;

const THREADS = 256u;
const COLUMNS = 4096u;
// Of the histogram in `cut`.
const FIRST = 4u;

var<workgroup> counts: array<atomic<u32>, THREADS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    atomicStore(&counts[thread], 0u);
    workgroupBarrier();
    let first = across(group, groups) * COLUMNS;
    if group.y < current.rows {
        // Of the first round there are no bits above.
        let above = min(dims.shift + 8u, 31u);
        let found = atomicLoad(&cut[0]) >> above;
        for (var i = first + thread; i < min(first + COLUMNS, dims.width); i += THREADS) {
            let value = h[group.y * dims.stride + i];
            let bits = bitcast<u32>(value);
            if value > 0.0 && (dims.shift == 24u || (bits >> above) == found) {
                atomicAdd(&counts[(bits >> dims.shift) & 255u], 1u);
            }
        }
    }
    workgroupBarrier();
    let count = atomicLoad(&counts[thread]);
    if count > 0u {
        atomicAdd(&cut[FIRST + thread], count);
    }
}
