// Keys and values by fours, for heads of any size: 0 beyond a head's end.
alias Cached = f32;

fn within_head(numbers: vec4f, four: u32) -> vec4f {
    let columns = vec4u(four * 4u) + vec4u(0u, 1u, 2u, 3u);
    return select(vec4f(0.0), numbers, columns < vec4u(dims.head_dim));
}

fn key_four(place: u32, four: u32) -> vec4f {
    let at = place + four * 4u;
    return within_head(vec4f(keys[at], keys[at + 1u], keys[at + 2u], keys[at + 3u]), four);
}

fn value_four(place: u32, four: u32) -> vec4f {
    let at = place + four * 4u;
    return within_head(vec4f(values[at], values[at + 1u], values[at + 2u], values[at + 3u]), four);
}
