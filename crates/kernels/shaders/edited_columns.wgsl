// The columns that an edit by columns acts on: `width` of them from `first` on, or those that `units` lists.
struct Dims {
    over_picks: u32,
    slot: u32,
    gated: u32,
    stride: u32,
    first: u32,
    width: u32,
    listed: u32,
}

@group(0) @binding(6) var<storage, read> units: array<u32>;

// Where the edit's `index`-th column of a row lies in x.
fn place(row: u32, index: u32) -> u32 {
    if dims.listed == 1u {
        return row * dims.stride + units[index];
    }
    return row * dims.stride + dims.first + index;
}
