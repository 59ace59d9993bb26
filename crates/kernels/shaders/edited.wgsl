// Where an edit acts. An edit's own file says what it does there; its `Dims` begins with
//     over_picks, slot, gated, stride, first, width
// `gated`: 0 without a condition, 1 where the gate has a word for each row of the step, 2 where it has one for each pick.
@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read> picks: array<Pick>;
@group(0) @binding(4) var<storage, read> gate: array<u32>;
@group(0) @binding(5) var<storage, read_write> x: array<f32>;

// The row of the step that row `index` of x belongs to.
fn step_row(index: u32) -> u32 {
    if dims.over_picks == 1u {
        return picks[index].row;
    }
    return index;
}

// Whether the edit acts on row `index` of x. The same for a whole workgroup.
fn acts(index: u32) -> bool {
    if index >= select(current.rows, current.picks, dims.over_picks == 1u) {
        return false;
    }
    let row = step_row(index);
    if ((rows[row].edits >> dims.slot) & 1u) == 0u {
        return false;
    }
    if dims.gated == 0u {
        return true;
    }
    return gate[select(row, index, dims.gated == 2u)] == 1u;
}

fn coefficient() -> f32 {
    return current.coefficients[dims.slot / 4u][dims.slot % 4u];
}
