// [row][thread], for what neighbours come to that exchange registers, where they are not all of a slot
var<workgroup> parts: array<f32, 64u * ROWS>;
// [thread of sixteen], a component for each row
var<workgroup> squares: array<vec4f, 16>;

// What four neighbours have of the component that falls to this thread: at each exchange it gives away the half that
// falls to the other.
fn sum_over_four(thread: u32, mine: vec4f) -> f32 {
    let odd = (thread & 1u) == 1u;
    let half = select(mine.xy, mine.zw, odd) + subgroupShuffleXor(select(mine.zw, mine.xy, odd), 1u);
    let upper = (thread & 2u) == 2u;
    return select(half.x, half.y, upper) + subgroupShuffleXor(select(half.y, half.x, upper), 2u);
}

fn sum_over_slot(thread: u32, sums: Sums) -> SlotSum {
    let row = (thread % 16u) / 4u;
    let component = (thread & 1u) * 2u + ((thread >> 1u) & 1u);
    //@ the sums of each row over neighbours
    //@ the squares of each row over neighbours
    //@ the sum and the square of all neighbours
    return SlotSum(row, thread / 16u + component * 4u, sum, square);
}
