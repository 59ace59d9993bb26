// h[r, i] = the feature of a pre-activation that depends on no other: ReLU, JumpReLU, gated.
struct Dims {
    width: u32,
    stride: u32,
    over_picks: u32,
    activation: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
// JumpReLU: [width] thresholds; gated: [3, width] factors, the encoder's biases, offsets
@group(0) @binding(2) var<storage, read> numbers: array<f32>;
@group(0) @binding(3) var<storage, read_write> h: array<f32>;

const JUMP_RELU = 1u;
const GATED = 2u;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = across(group, groups) * 64u + thread;
    if group.y >= select(current.rows, current.picks, dims.over_picks == 1u) || i >= dims.width {
        return;
    }
    let at = group.y * dims.stride + i;
    let value = h[at];
    var feature = max(value, 0.0);
    if dims.activation == JUMP_RELU {
        feature = select(0.0, feature, value > numbers[i]);
    }
    if dims.activation == GATED {
        let magnitude = (value - numbers[dims.width + i]) * numbers[i] + numbers[2u * dims.width + i];
        feature = select(0.0, max(magnitude, 0.0), value > 0.0);
    }
    h[at] = feature;
}
