// cap * tanh(score / cap) (Gemma Team 2024); a cap of 0 is none.
fn capped(score: vec4f, cap: f32) -> vec4f {
    if cap == 0.0 {
        return score;
    }
    return cap * hyperbolic_tangent(score / cap);
}
