// Draws a token from a row of logits; `sample_reference.rs` defines how. One workgroup a pick.
// Thresholds of top-k and top-p are found by radix select on the integers that order as the logits do.
struct Dims {
    tokens: u32,
    stride: u32,
    // logits have a row for each pick, not for each row of the step
    over_picks: u32,
}

@group(0) @binding(0) var<uniform> current: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> picks: array<Pick>;
@group(0) @binding(3) var<storage, read> logits: array<f32>;
@group(0) @binding(4) var<storage, read_write> lane_tokens: array<u32>;
// [pick][token, log probability]
@group(0) @binding(5) var<storage, read_write> records: array<u32>;

const THREADS = 256u;
const LOWEST = -1e30;
const SHARE_ONE = 65536u;
const MASS_ONE = 16777216.0;

// Of each digit: how many tokens, or the upper and lower 12 bits of their mass.
var<workgroup> upper: array<atomic<u32>, 256>;
var<workgroup> lower: array<atomic<u32>, 256>;
// The digits found so far, and what is still wanted below them.
var<workgroup> prefix: u32;
var<workgroup> wanted: vec2u;

// 64-bit numbers: x is the lower word.
fn add_wide(a: vec2u, b: vec2u) -> vec2u {
    let low = a.x + b.x;
    return vec2u(low, a.y + b.y + select(0u, 1u, low < a.x));
}

fn subtract_wide(a: vec2u, b: vec2u) -> vec2u {
    return vec2u(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}

fn less_wide(a: vec2u, b: vec2u) -> bool {
    return a.y < b.y || (a.y == b.y && a.x < b.x);
}

fn mass_of(digit: u32) -> vec2u {
    let high = atomicLoad(&upper[digit]);
    return add_wide(vec2u(high << 12u, high >> 20u), vec2u(atomicLoad(&lower[digit]), 0u));
}

// total * share / SHARE_ONE, rounded down. Exact: every partial product fits a word, and only the lowest loses bits.
fn share_of(total: vec2u, share: u32) -> vec2u {
    let a = ((total.x & 0xffffu) * share) >> 16u;
    let b = (total.x >> 16u) * share;
    let c = (total.y & 0xffffu) * share;
    return add_wide(add_wide(vec2u(a, 0u), vec2u(b, 0u)), vec2u(c << 16u, c >> 16u));
}

// Moves one digit down: the tokens above it are settled.
fn descend(shift: u32, by_mass: bool) {
    var left = wanted;
    for (var i = 0u; i < 256u; i++) {
        let digit = 255u - i;
        var here = vec2u(atomicLoad(&upper[digit]), 0u);
        if by_mass {
            here = mass_of(digit);
        }
        if !less_wide(here, left) {
            prefix |= digit << shift;
            wanted = left;
            return;
        }
        left = subtract_wide(left, here);
    }
}

// The highest of some logits, and the sum of exponentials relative to it.
struct Exponentials {
    highest: f32,
    sum: f32,
}

fn together(a: Exponentials, b: Exponentials) -> Exponentials {
    let top = max(a.highest, b.highest);
    return Exponentials(top, a.sum * exp(a.highest - top) + b.sum * exp(b.highest - top));
}

//@ over 256 threads, Exponentials { highest, sum }: exponentials_of_threads = together(a, b)

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    if group.y >= current.picks {
        return;
    }
    let pick = picks[group.y];
    let base = select(pick.row, group.y, dims.over_picks == 1u) * dims.stride;

    // The most probable token, and the sum of exponentials relative to it.
    var here = Best(0u, 0u);
    var highest_here = LOWEST;
    var sum_here = 0.0;
    for (var token = thread; token < dims.tokens; token += THREADS) {
        let logit = logits[base + token];
        if order(logit) > here.order {
            here = Best(order(logit), token);
        }
        if logit > highest_here {
            sum_here = sum_here * exp(highest_here - logit) + 1.0;
            highest_here = logit;
        } else {
            sum_here += exp(logit - highest_here);
        }
    }
    var best = best_of_threads(thread, here);
    let exponentials = exponentials_of_threads(thread, Exponentials(highest_here, sum_here));
    let top = exponentials.highest;
    let normaliser = top + ln(exponentials.sum);

    if current.temperature > 0.0 {
        var threshold = 0u;
        if current.top_k > 0u && current.top_k < dims.tokens {
            if thread == 0u {
                prefix = 0u;
                wanted = vec2u(current.top_k, 0u);
            }
            var settled = 0u;
            for (var round = 0u; round < 4u; round++) {
                let shift = 24u - 8u * round;
                atomicStore(&upper[thread], 0u);
                workgroupBarrier();
                let found = prefix;
                for (var token = thread; token < dims.tokens; token += THREADS) {
                    let value = order(logits[base + token]);
                    if (value & settled) == found {
                        atomicAdd(&upper[(value >> shift) & 255u], 1u);
                    }
                }
                workgroupBarrier();
                if thread == 0u {
                    descend(shift, false);
                }
                settled |= 255u << shift;
                workgroupBarrier();
            }
            threshold = prefix;
            workgroupBarrier();
        }
        if current.share < SHARE_ONE {
            if thread == 0u {
                prefix = 0u;
            }
            var settled = 0u;
            for (var round = 0u; round < 4u; round++) {
                let shift = 24u - 8u * round;
                atomicStore(&upper[thread], 0u);
                atomicStore(&lower[thread], 0u);
                workgroupBarrier();
                let found = prefix;
                for (var token = thread; token < dims.tokens; token += THREADS) {
                    let logit = logits[base + token];
                    let value = order(logit);
                    if value >= threshold && (value & settled) == found {
                        let mass = u32(exp((logit - top) / current.temperature) * MASS_ONE);
                        atomicAdd(&upper[(value >> shift) & 255u], mass >> 12u);
                        atomicAdd(&lower[(value >> shift) & 255u], mass & 4095u);
                    }
                }
                workgroupBarrier();
                if thread == 0u {
                    if round == 0u {
                        var total = vec2u(0u);
                        for (var digit = 0u; digit < 256u; digit++) {
                            total = add_wide(total, mass_of(digit));
                        }
                        wanted = share_of(total, current.share);
                        if wanted.x == 0u && wanted.y == 0u {
                            wanted = vec2u(1u, 0u);
                        }
                    }
                    descend(shift, true);
                }
                settled |= 255u << shift;
                workgroupBarrier();
            }
            threshold = max(threshold, prefix);
        }
        here = Best(0u, 0u);
        for (var token = thread; token < dims.tokens; token += THREADS) {
            let logit = logits[base + token];
            if order(logit) >= threshold {
                let score = order((logit - top) / current.temperature + gumbel(current.seed, pick.draw, token));
                if score > here.order {
                    here = Best(score, token);
                }
            }
        }
        best = best_of_threads(thread, here);
    }
    if thread == 0u {
        let token = best.token;
        lane_tokens[pick.lane] = token;
        records[group.y * 2u] = token;
        records[group.y * 2u + 1u] = bitcast<u32>(logits[base + token] - normaliser);
    }
}
