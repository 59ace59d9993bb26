// x[r, c] += coefficient * (p - x[r, c]), p being the number that the store has for the row's position; exactly p where
// the coefficient is 1. Rows whose position has no entry stay as they are.
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
    let begin = stored_at(entry_of(rows[step_row(group.y)].position, dims.entries));
    if begin == NOWHERE {
        return;
    }
    let at = group.y * dims.stride + dims.first + index;
    let value = stored[begin + index];
    let c = coefficient();
    if c == 1.0 {
        x[at] = value;
    } else {
        x[at] += c * (value - x[at]);
    }
}
