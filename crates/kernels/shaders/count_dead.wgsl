// figures[0] = the number of features that were silent for long.
struct Dims {
    features: u32,
    dead_after: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read_write> figures: array<u32>;

//@ over 256 threads, u32: sum_over_threads = a + b

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32) {
    var dead = 0u;
    for (var i = thread; i < dims.features; i += 256u) {
        dead += u32(figures[1u + i] >= dims.dead_after);
    }
    dead = sum_over_threads(thread, dead);
    if thread == 0u && current.rows > 0u {
        figures[0] = dead;
    }
}
