// Keys and values by fours, for heads of whole fours.
alias Cached = vec4f;

fn key_four(place: u32, four: u32) -> vec4f {
    return keys[place / 4u + four];
}

fn value_four(place: u32, four: u32) -> vec4f {
    return values[place / 4u + four];
}
