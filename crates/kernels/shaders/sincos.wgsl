// Sine and cosine of any angle that a position reaches. WGSL's own are only promised to 2^-11, and only in [-pi, pi].
// Cody and Waite's reduction by quarter turns and Cephes' polynomials (Moshier), as in its sinf.c.
fn cosine_and_sine(angle: f32) -> vec2f {
    let turns = floor(angle * 0.636619772 + 0.5);
    let x = ((angle - turns * 1.5703125) - turns * 4.837512969970703e-4) - turns * 7.54978995489188e-8;
    let z = x * x;
    let sine = ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * x + x;
    let cosine = ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0;
    let quarter = u32(i32(turns)) & 3u;
    if quarter == 0u {
        return vec2f(cosine, sine);
    }
    if quarter == 1u {
        return vec2f(-sine, cosine);
    }
    if quarter == 2u {
        return vec2f(-cosine, -sine);
    }
    return vec2f(sine, -cosine);
}
