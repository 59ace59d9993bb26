// A number of the step's that is not recorded (`plan.rs`).
fn coefficient_of(slot: u32) -> f32 {
    return current.coefficients[slot / 4u][slot % 4u];
}
