// What attention to some of the keys comes to: the highest score, the sum of exp(score - highest), and the values
// weighted so. Parts of one sum are merged in the order of their keys (Milakov and Gimelshein 2018; Dao et al. 2022).
struct Part {
    highest: f32,
    total: f32,
    mixed: vec4f,
}

const LOWEST = -1e30;

const NOTHING = Part(LOWEST, 0.0, vec4f(0.0));

fn merged(a: Part, b: Part) -> Part {
    let highest = max(a.highest, b.highest);
    let of_a = exp(a.highest - highest);
    let of_b = exp(b.highest - highest);
    return Part(highest, a.total * of_a + b.total * of_b, a.mixed * of_a + b.mixed * of_b);
}
