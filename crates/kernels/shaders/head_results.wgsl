// y[r, head, first_output + o] = W[o, the head's columns] . x[r, the head's columns]. A thread takes one output.
struct Dims {
    heads: u32,
    head_dim: u32,
    // of the whole matrix
    outputs: u32,
    first_output: u32,
    outputs_here: u32,
    x_stride: u32,
    y_stride: u32,
    over_picks: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(8) var<storage, read> quants: array<u32>;

// What of an octet lies in columns first .. end; 0 elsewhere.
fn between(octet: Octet, column: u32, first: u32, end: u32) -> Octet {
    let lo = vec4u(column) + vec4u(0u, 1u, 2u, 3u);
    let hi = lo + vec4u(4u);
    return Octet(
        select(vec4f(0.0), octet.lo, (lo >= vec4u(first)) & (lo < vec4u(end))),
        select(vec4f(0.0), octet.hi, (hi >= vec4u(first)) & (hi < vec4u(end))),
    );
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let output = across(group, groups) * 64u + thread;
    if group.y >= select(current.rows, current.picks, dims.over_picks == 1u) || output >= dims.outputs_here {
        return;
    }
    for (var head = 0u; head < dims.heads; head++) {
        let first = head * dims.head_dim;
        let end = first + dims.head_dim;
        var sum = vec4f(0.0);
        for (var chunk = first / 8u; chunk * 8u < end; chunk++) {
            let at = group.y * (dims.x_stride / 4u) + chunk * 2u;
            let here = between(Octet(x[at], x[at + 1u]), chunk * 8u, first, end);
            let w = weight_octet(output, chunk, dims.heads * dims.head_dim);
            sum += here.lo * w.lo + here.hi * w.hi;
        }
        let column = head * dims.outputs + dims.first_output + output;
        y[group.y * dims.y_stride + column] = (sum.x + sum.y) + (sum.z + sum.w);
    }
}
