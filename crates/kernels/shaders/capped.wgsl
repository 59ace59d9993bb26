// cap * tanh(score / cap) (Gemma Team 2024); a cap of 0 is none.
fn capped(score: f32, cap: f32) -> f32 {
    if cap == 0.0 {
        return score;
    }
    return cap * hyperbolic_tangent(score / cap);
}
