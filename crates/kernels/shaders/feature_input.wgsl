// y[r] = what the rows of an encoder read of x[r]: `width` columns from `first` on, centred and normalised where that is
// asked for, and the decoder's bias taken off; one workgroup a row.
struct Dims {
    width: u32,
    x_stride: u32,
    y_stride: u32,
    over_picks: u32,
    first: u32,
    centred: u32,
    normalised: u32,
    subtracts: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> subtracted: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

const EPSILON = 1e-5;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    if group.y >= select(current.rows, current.picks, dims.over_picks == 1u) {
        return;
    }
    let base = group.y * dims.x_stride + dims.first;
    var scale = Scale(0.0, 1.0);
    if dims.centred == 1u || dims.normalised != 0u {
        scale = scale_of(thread, base, dims.width, dims.centred == 1u, dims.normalised);
    }
    let divisor = select(scale.unit, scale.unit + EPSILON, dims.normalised == LAYER);
    for (var i = thread; i < dims.width; i += 64u) {
        var value = (x[base + i] - scale.mean) / divisor;
        if dims.subtracts == 1u {
            value -= subtracted[i];
        }
        y[group.y * dims.y_stride + i] = value;
    }
}
