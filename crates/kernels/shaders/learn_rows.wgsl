// A step of Adam (Kingma and Ba 2015) for each row. Of directions, the gradient along them is taken off first, and their
// length made 1 again afterwards (Bricken et al. 2023). One workgroup a row.
struct Dims {
    width: u32,
    // numbers in all: the last row may be shorter
    total: u32,
    directions: u32,
    // where two numbers lie in the step: the step's size, and one over what the mean of squares falls short by
    slot: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> values: array<f32>;
@group(0) @binding(4) var<storage, read_write> means: array<f32>;
@group(0) @binding(5) var<storage, read_write> squares: array<f32>;

// As in `tiller_sae::train`, epsilon as Gao et al. 2024 have it.
const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 6.25e-10;
const THREADS = 64u;

//@ over 64 threads, f32: sum_over_threads = a + b

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let first = across(group, groups) * dims.width;
    if first >= dims.total {
        return;
    }
    let end = min(first + dims.width, dims.total);
    var along = 0.0;
    if dims.directions == 1u {
        for (var i = first + thread; i < end; i += THREADS) {
            along += gradient[i] * values[i];
        }
        along = sum_over_threads(thread, along);
    }
    let size = coefficient_of(dims.slot);
    let root = coefficient_of(dims.slot + 1u);
    var length = 0.0;
    for (var i = first + thread; i < end; i += THREADS) {
        let by_value = gradient[i] - along * values[i];
        let mean = BETA_1 * means[i] + (1.0 - BETA_1) * by_value;
        let square = BETA_2 * squares[i] + (1.0 - BETA_2) * by_value * by_value;
        let value = values[i] - size * mean / (sqrt(square * root) + EPSILON);
        means[i] = mean;
        squares[i] = square;
        values[i] = value;
        length += value * value;
    }
    if dims.directions == 1u {
        length = sqrt(sum_over_threads(thread, length));
        if length > 0.0 {
            for (var i = first + thread; i < end; i += THREADS) {
                values[i] /= length;
            }
        }
    }
}
