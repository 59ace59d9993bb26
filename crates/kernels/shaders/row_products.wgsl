// Three numbers for each row of a store that this part holds: its product with a vector, its product with itself, and
// that with the other row of its pair (rows 0 and 1, 2 and 3, ...; 0 where there is no other). One workgroup a row.
struct Dims {
    width: u32,
    // what this part holds of the store's rows
    first_row: u32,
    rows_here: u32,
    // and what the part that has the pairs' other rows holds: the same part, where it holds more than one row
    other_first: u32,
    others_here: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
// [width]
@group(0) @binding(2) var<storage, read> v: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> other: array<f32>;
// [rows of the store, 3]
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

//@ over 64 threads, vec3f: sum_over_threads = a + b

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let here = across(group, groups);
    if group.y >= current.rows || here >= dims.rows_here {
        return;
    }
    let row = dims.first_row + here;
    let partner = row ^ 1u;
    let has_other = partner >= dims.other_first && partner - dims.other_first < dims.others_here;
    let base = here * dims.width;
    var products = vec3f(0.0);
    for (var i = thread; i < dims.width; i += 64u) {
        let value = x[base + i];
        products.x += value * v[i];
        products.y += value * value;
        if has_other {
            products.z += value * other[(partner - dims.other_first) * dims.width + i];
        }
    }
    products = sum_over_threads(thread, products);
    if thread < 3u {
        y[row * 3u + thread] = products[thread];
    }
}
