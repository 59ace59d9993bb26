// The noise of a draw, as in `sample_reference.rs`, which says why.

// PCG3D (Jarzynski and Olano 2020), first component.
fn hash(seed: u32, counter: u32, token: u32) -> u32 {
    var v = vec3u(seed, counter, token) * 1664525u + 1013904223u;
    v.x += v.y * v.z;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v ^= v >> vec3u(16u);
    return v.x + v.y * v.z;
}

// atanh(s) / s by its series in z = s^2, for s up to 1/3.
fn atanh_series(z: f32) -> f32 {
    var sum = 1.0 / 17.0;
    sum = sum * z + 1.0 / 15.0;
    sum = sum * z + 1.0 / 13.0;
    sum = sum * z + 1.0 / 11.0;
    sum = sum * z + 1.0 / 9.0;
    sum = sum * z + 1.0 / 7.0;
    sum = sum * z + 1.0 / 5.0;
    sum = sum * z + 1.0 / 3.0;
    return sum * z + 1.0;
}

// Natural logarithm of a positive normal number.
fn ln(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    let exponent = bitcast<i32>(bits - 0x3f3504f3u) >> 23u;
    let mantissa = bitcast<f32>(bits - (bitcast<u32>(exponent) << 23u));
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    return f32(exponent) * 0.6931472 + 2.0 * s * atanh_series(s * s);
}

fn minus_ln_of_one_minus(v: f32) -> f32 {
    if v > 0.5 {
        return -ln(1.0 - v);
    }
    let s = v / (2.0 - v);
    return 2.0 * s * atanh_series(s * s);
}

fn gumbel(seed: u32, counter: u32, token: u32) -> f32 {
    let v = (f32(hash(seed, counter, token) >> 9u) + 0.5) / 8388608.0;
    return -ln(minus_ln_of_one_minus(v));
}
