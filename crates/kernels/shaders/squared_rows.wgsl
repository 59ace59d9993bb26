// figures[first + r] = the bits of x[r]'s squared length; one workgroup a row.
struct Dims {
    width: u32,
    stride: u32,
    first: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> figures: array<u32>;

//@ over 64 threads, f32: sum_over_threads = a + b

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    if group.y >= current.rows {
        return;
    }
    var sum = 0.0;
    for (var i = thread; i < dims.width; i += 64u) {
        let value = x[group.y * dims.stride + i];
        sum += value * value;
    }
    sum = sum_over_threads(thread, sum);
    if thread == 0u {
        figures[dims.first + group.y] = bitcast<u32>(sum);
    }
}
