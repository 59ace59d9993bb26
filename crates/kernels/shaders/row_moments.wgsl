// For a layer norm folded into a product: means and factors (inverse deviations) of up to four rows, a component each.
struct Moments {
    mean: vec4f,
    factor: vec4f,
}

//@ over 64 threads, vec4f: sums_over_threads = a + b

// What of a row's octet differs from its mean; 0 beyond the row's end.
fn offset_octet(row: u32, chunk: u32, mean: f32) -> Octet {
    let octet = x_octet(row, chunk);
    return within(Octet(octet.lo - mean, octet.hi - mean), chunk * 8u, dims.cols);
}

fn row_moments(thread: u32, row: u32, last: u32) -> Moments {
    var sum = vec4f(0.0);
    for (var chunk = thread; chunk * 8u < dims.cols; chunk += 64u) {
        //@ the sums of each row
    }
    let mean = sums_over_threads(thread, sum) / f32(dims.cols);
    var square = vec4f(0.0);
    for (var chunk = thread; chunk * 8u < dims.cols; chunk += 64u) {
        //@ the squares of each row
    }
    let factor = 1.0 / sqrt(sums_over_threads(thread, square) / f32(dims.cols) + dims.epsilon);
    return Moments(mean, factor);
}

fn norm_bias_octet(chunk: u32) -> Octet {
    if dims.norm_biased == 0u {
        return Octet(vec4f(0.0), vec4f(0.0));
    }
    return Octet(norm_bias[chunk * 2u], norm_bias[chunk * 2u + 1u]);
}

// Beyond the row's end gain and bias are 0.
fn normed(octet: Octet, mean: f32, factor: f32, g: Octet, b: Octet) -> Octet {
    return Octet(((octet.lo - mean) * factor) * g.lo + b.lo, ((octet.hi - mean) * factor) * g.hi + b.hi);
}
