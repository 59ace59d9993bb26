// [row][slot of four][thread of sixteen], a component for each of a slot's four outputs
var<workgroup> products: array<vec4f, 64u * ROWS>;
// [thread of sixteen], a component for each row
var<workgroup> squares: array<vec4f, 16>;

fn sum_over_slot(thread: u32, sums: Sums) -> SlotSum {
    //@ the sums of each row are left for the others
    if thread < 16u {
        squares[thread] = sums.square;
    }
    workgroupBarrier();
    let row = min(thread / 16u, ROWS - 1u);
    let component = (thread % 16u) / 4u;
    let start = row * 64u + (thread % 4u) * 16u;
    //@ the sum and the square of all threads
    return SlotSum(thread / 16u, thread % 16u, sum, square);
}
