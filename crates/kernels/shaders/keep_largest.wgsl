// h[r] = its k largest numbers that are above 0, and 0 elsewhere; one workgroup a row.
struct Dims {
    width: u32,
    stride: u32,
    over_picks: u32,
    k: u32,
    place_bits: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read_write> h: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    if group.y >= select(current.rows, current.picks, dims.over_picks == 1u) {
        return;
    }
    let base = group.y * dims.stride;
    let cut = cut_of(thread, base, dims.width, dims.k, dims.place_bits);
    for (var i = thread; i < dims.width; i += THREADS) {
        if !is_largest(cut, h[base + i], i) {
            h[base + i] = 0.0;
        }
    }
}
