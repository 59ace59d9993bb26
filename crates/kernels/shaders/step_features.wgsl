// f[r, i] = h[r, i] where a rule lets it through, 0 elsewhere.
struct Dims {
    width: u32,
    stride: u32,
    rule: u32,
    // activations, of the last rule
    dead_after: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> h: array<f32>;
// What the rule goes by.
@group(0) @binding(3) var<storage, read> numbers: array<u32>;
@group(0) @binding(4) var<storage, read_write> f: array<f32>;

// Above the feature's threshold: `numbers` are all biases, then the logarithms of all thresholds.
const ABOVE_THRESHOLD = 1u;
// Not below the batch's cut, which is the first of `numbers` (`batch_cut.wgsl`).
const ABOVE_CUT = 2u;
// Positive, of a feature that was silent for long: `numbers` are the figures (`feature_gradients.wgsl`).
const DEAD = 3u;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = across(group, groups) * 64u + thread;
    if group.y >= current.rows || i >= dims.width {
        return;
    }
    let at = group.y * dims.stride + i;
    let value = h[at];
    var through = value > 0.0;
    switch dims.rule {
        case ABOVE_THRESHOLD: {
            through = value > exp(bitcast<f32>(numbers[dims.width + i]));
        }
        case ABOVE_CUT: {
            through = through && bitcast<u32>(value) >= numbers[0];
        }
        case DEAD: {
            through = through && numbers[1u + i] >= dims.dead_after;
        }
        default: {}
    }
    f[at] = select(0.0, value, through);
}
