// The token of a row: its own, or the one that its lane drew last.
const LANE_BIT = 0x80000000u;

fn row_token(token: u32) -> u32 {
    if (token & LANE_BIT) != 0u {
        return lane_tokens[token & ~LANE_BIT];
    }
    return token;
}
