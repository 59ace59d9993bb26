// x[r, c] += coefficient * v[c].
@group(0) @binding(7) var<storage, read> v: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = across(group, groups) * 64u + thread;
    if !acts(group.y) || index >= dims.width {
        return;
    }
    x[place(group.y, index)] += coefficient() * v[index];
}
