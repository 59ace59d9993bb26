// Moments of a row by 64 threads. All of them call these, and all get the same number.
//@ over 64 threads, f32: sum_over_threads = a + b

// The mean of x[base .. base + width], or 0 for a norm that does not centre.
fn centre(thread: u32, base: u32, width: u32, layer: u32) -> f32 {
    if layer == 0u {
        return 0.0;
    }
    var sum = 0.0;
    for (var i = thread; i < width; i += 64u) {
        sum += x[base + i];
    }
    return sum_over_threads(thread, sum) / f32(width);
}

// sqrt(mean((x - mean)^2) + epsilon).
fn deviation(thread: u32, base: u32, width: u32, mean: f32, epsilon: f32) -> f32 {
    var square = 0.0;
    for (var i = thread; i < width; i += 64u) {
        let offset = x[base + i] - mean;
        square += offset * offset;
    }
    return sqrt(sum_over_threads(thread, square) / f32(width) + epsilon);
}
