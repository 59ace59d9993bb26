// What an activation is centred by and divided by before its features are read (`sae/src/normalise.rs`).
const LAYER = 1u;
const CONSTANT_NORM = 2u;

//@ over 64 threads, f32: sum_over_threads = a + b

struct Scale {
    mean: f32,
    // standard deviation, or length over sqrt(width), or 1
    unit: f32,
}

// Of x[base .. base + width]; all threads get the same.
fn scale_of(thread: u32, base: u32, width: u32, centred: bool, kind: u32) -> Scale {
    var sum = 0.0;
    for (var i = thread; i < width; i += 64u) {
        sum += x[base + i];
    }
    let mean = select(0.0, sum_over_threads(thread, sum) / f32(width), centred || kind == LAYER);
    var square = 0.0;
    for (var i = thread; i < width; i += 64u) {
        let offset = x[base + i] - mean;
        square += offset * offset;
    }
    let squares = sum_over_threads(thread, square);
    if kind == LAYER {
        return Scale(mean, sqrt(squares / f32(width - 1u)));
    }
    // An activation of zeros has no length that could be made another.
    if kind == CONSTANT_NORM && squares > 0.0 {
        return Scale(mean, sqrt(squares / f32(width)));
    }
    return Scale(mean, 1.0);
}
