// x += coefficient * |p - x| d, p being what the store has for the row's position and d the direction for it: as long a
// step as the one to p, another way. x is `width` columns of a row; one workgroup a row. Rows whose position has no
// entry stay as they are.

// [entries, width]
@group(0) @binding(8) var<storage, read> directions: array<f32>;

//@ over 64 threads, f32: sum_over_threads = a + b

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    if !acts(group.y) {
        return;
    }
    let entry = entry_of(rows[step_row(group.y)].position, dims.entries);
    let begin = stored_at(entry);
    if begin == NOWHERE {
        return;
    }
    let base = group.y * dims.stride + dims.first;
    var squares = 0.0;
    for (var i = thread; i < dims.width; i += 64u) {
        let away = stored[begin + i] - x[base + i];
        squares += away * away;
    }
    let step = coefficient() * sqrt(sum_over_threads(thread, squares));
    for (var i = thread; i < dims.width; i += 64u) {
        x[base + i] += step * directions[entry * dims.width + i];
    }
}
