// Where an edit's table says which row of a store is for which position. An edit's own file says what it does with it.
struct Dims {
    over_picks: u32,
    slot: u32,
    gated: u32,
    stride: u32,
    first: u32,
    width: u32,
    entries: u32,
    // of the store: numbers in a row, the column that belongs to the edit's first, and the rows that this part holds
    stored_width: u32,
    stored_first: u32,
    first_row: u32,
    rows_here: u32,
}

// The entries' positions, ascending, and then their rows in the store.
@group(0) @binding(6) var<storage, read> positions: array<u32>;
@group(0) @binding(7) var<storage, read> stored: array<f32>;

const NOWHERE = 0xffffffffu;

// Where the numbers of an entry begin in this part of the store; NOWHERE where it has none. The same for a whole
// workgroup.
fn stored_at(entry: u32) -> u32 {
    if entry == dims.entries {
        return NOWHERE;
    }
    let place = positions[dims.entries + entry];
    if place < dims.first_row || place - dims.first_row >= dims.rows_here {
        return NOWHERE;
    }
    return (place - dims.first_row) * dims.stored_width + dims.stored_first;
}

