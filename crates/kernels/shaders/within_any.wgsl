// Zeroes what lies beyond column `cols`: nobody wrote it.
fn within(octet: Octet, first: u32, cols: u32) -> Octet {
    if first + 8u <= cols {
        return octet;
    }
    let columns = vec4u(first, first + 1u, first + 2u, first + 3u);
    return Octet(
        select(vec4f(0.0), octet.lo, columns < vec4u(cols)),
        select(vec4f(0.0), octet.hi, columns + vec4u(4u) < vec4u(cols)),
    );
}
