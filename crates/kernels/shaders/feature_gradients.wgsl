// What a batch does to each feature's pre-activations and scalars: `along`, the gradient by the features, becomes that by
// the pre-activations. Eight threads share a feature.
struct Dims {
    features: u32,
    stride: u32,
    method: u32,
    bandwidth: f32,
    // there are dead features that reconstruct what is left
    auxiliary: u32,
    // where the penalty on a feature, by its share of the batch, lies in the step
    penalty: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
// [rows, features]: pre-activations, features, gradients
@group(0) @binding(2) var<storage, read> h: array<f32>;
@group(0) @binding(3) var<storage, read> f: array<f32>;
@group(0) @binding(4) var<storage, read_write> along: array<f32>;
// the dead features', and the gradient by those
@group(0) @binding(5) var<storage, read> dead: array<f32>;
@group(0) @binding(6) var<storage, read> along_dead: array<f32>;
// [2, features]: biases, logarithms of thresholds
@group(0) @binding(7) var<storage, read> scalars: array<f32>;
// [2, features], by those
@group(0) @binding(8) var<storage, read_write> by_scalars: array<f32>;
// how many features are dead; for how many activations each was silent, up to 2^30; at how many of the batch it is active
@group(0) @binding(9) var<storage, read_write> figures: array<u32>;

const PENALISED = 1u;
const JUMP_RELU = 2u;
const COLUMNS = 32u;
const THREADS = 256u;
const LONG = 1u << 30u;

// by the bias, by the threshold's logarithm, active
var<workgroup> sums: array<vec3f, THREADS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let feature = across(group, groups) * COLUMNS + thread % COLUMNS;
    let penalty = coefficient_of(dims.penalty);
    var sum = vec3f(0.0);
    if feature < dims.features {
        var threshold = 0.0;
        if dims.method == JUMP_RELU {
            threshold = exp(scalars[dims.features + feature]);
        }
        let revived = dims.auxiliary == 1u && figures[0] > 0u;
        for (var row = thread / COLUMNS; row < current.rows; row += THREADS / COLUMNS) {
            let at = row * dims.stride + feature;
            var by_hidden = 0.0;
            if f[at] > 0.0 {
                by_hidden = along[at];
                sum.z += 1.0;
                if dims.method == PENALISED {
                    by_hidden += penalty;
                }
            }
            if dims.method == JUMP_RELU && abs(h[at] - threshold) < dims.bandwidth / 2.0 {
                // Pseudo-derivatives of the step at the threshold, Rajamanoharan et al. 2024b, equations 11 and 12.
                sum.y -= (threshold * along[at] + penalty) / dims.bandwidth * threshold;
            }
            if revived && dead[at] > 0.0 {
                by_hidden += along_dead[at];
            }
            along[at] = by_hidden;
            sum.x += by_hidden;
        }
    }
    sums[thread] = sum;
    for (var half = THREADS / 2u; half >= COLUMNS; half /= 2u) {
        workgroupBarrier();
        if thread < half {
            sums[thread] += sums[thread + half];
        }
    }
    if thread >= COLUMNS || feature >= dims.features {
        return;
    }
    by_scalars[feature] = sums[thread].x;
    by_scalars[dims.features + feature] = sums[thread].y;
    let count = u32(sums[thread].z);
    let silent = min(figures[1u + feature], LONG) + current.rows;
    figures[1u + feature] = select(silent, 0u, count > 0u);
    figures[1u + dims.features + feature] = count;
}
