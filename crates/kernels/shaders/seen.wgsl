// The first of the positions that a token sees: those of the last `window` tokens up to its own.
fn first_seen(position: u32, window: u32) -> u32 {
    return position + 1u - min(position + 1u, window);
}
