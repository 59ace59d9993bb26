// y[r] = gain * x[r] / sqrt(mean(x[r]^2) + epsilon) (Zhang and Sennrich 2019); one workgroup a row.
struct Dims {
    width: u32,
    stride: u32,
    over_picks: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> gain: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

var<workgroup> squares: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    if group.y >= select(current.rows, current.picks, dims.over_picks == 1u) {
        return;
    }
    let base = group.y * dims.stride;
    var square = 0.0;
    for (var i = thread; i < dims.width; i += 64u) {
        square += x[base + i] * x[base + i];
    }
    squares[thread] = square;
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < 64u; i++) {
        sum += squares[i];
    }
    let factor = 1.0 / sqrt(sum / f32(dims.width) + dims.epsilon);
    for (var i = thread; i < dims.width; i += 64u) {
        y[base + i] = gain[i] * (x[base + i] * factor);
    }
}
