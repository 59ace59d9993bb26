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

var<workgroup> best_order: array<u32, 256>;
var<workgroup> best_token: array<u32, 256>;
var<workgroup> highest: array<f32, 256>;
var<workgroup> exponentials: array<f32, 256>;
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

fn merge(a: u32, b: u32) {
    if best_order[b] > best_order[a] || (best_order[b] == best_order[a] && best_token[b] < best_token[a]) {
        best_order[a] = best_order[b];
        best_token[a] = best_token[b];
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    if group.y >= current.picks {
        return;
    }
    let pick = picks[group.y];
    let base = select(pick.row, group.y, dims.over_picks == 1u) * dims.stride;

    // The most probable token, and the sum of exponentials relative to it.
    var order_here = 0u;
    var token_here = 0u;
    var highest_here = LOWEST;
    var sum_here = 0.0;
    for (var token = thread; token < dims.tokens; token += THREADS) {
        let logit = logits[base + token];
        if order(logit) > order_here {
            order_here = order(logit);
            token_here = token;
        }
        if logit > highest_here {
            sum_here = sum_here * exp(highest_here - logit) + 1.0;
            highest_here = logit;
        } else {
            sum_here += exp(logit - highest_here);
        }
    }
    best_order[thread] = order_here;
    best_token[thread] = token_here;
    highest[thread] = highest_here;
    exponentials[thread] = sum_here;
    for (var span = THREADS / 2u; span > 0u; span /= 2u) {
        workgroupBarrier();
        if thread < span {
            let other = thread + span;
            merge(thread, other);
            let top = max(highest[thread], highest[other]);
            exponentials[thread] = exponentials[thread] * exp(highest[thread] - top)
                + exponentials[other] * exp(highest[other] - top);
            highest[thread] = top;
        }
    }
    workgroupBarrier();
    let top = highest[0];
    let normaliser = top + ln(exponentials[0]);

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
        order_here = 0u;
        token_here = 0u;
        for (var token = thread; token < dims.tokens; token += THREADS) {
            let logit = logits[base + token];
            if order(logit) >= threshold {
                let score = order((logit - top) / current.temperature + gumbel(current.seed, pick.draw, token));
                if score > order_here {
                    order_here = score;
                    token_here = token;
                }
            }
        }
        best_order[thread] = order_here;
        best_token[thread] = token_here;
        for (var span = THREADS / 2u; span > 0u; span /= 2u) {
            workgroupBarrier();
            if thread < span {
                merge(thread, thread + span);
            }
        }
        workgroupBarrier();
    }
    if thread == 0u {
        let token = best_token[0];
        lane_tokens[pick.lane] = token;
        records[group.y * 2u] = token;
        records[group.y * 2u + 1u] = bitcast<u32>(logits[base + token] - normaliser);
    }
}
