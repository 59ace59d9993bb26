// A token and what it scores, as an integer that orders as the score does.
struct Best {
    order: u32,
    token: u32,
}

// Of equals the smaller token.
fn better(a: Best, b: Best) -> Best {
    if b.order > a.order || (b.order == a.order && b.token < a.token) {
        return b;
    }
    return a;
}

//@ over 256 threads, Best { order, token }: best_of_threads = better(a, b)
