// The entry of an edit's table for a position, where `positions` begins with those of the entries, ascending; `entries`
// where it has none.
fn entry_of(position: u32, entries: u32) -> u32 {
    // The first entry whose position is not before this one.
    var entry = 0u;
    var end = entries;
    while entry < end {
        let middle = entry + (end - entry) / 2u;
        if positions[middle] < position {
            entry = middle + 1u;
        } else {
            end = middle;
        }
    }
    if entry == entries || positions[entry] != position {
        return entries;
    }
    return entry;
}

