// Rows of blocks end with a whole octet.
fn within(octet: Octet, first: u32, cols: u32) -> Octet {
    return octet;
}
