// Eight neighbouring numbers of a row.
struct Octet {
    lo: vec4f,
    hi: vec4f,
}

struct OctetBits {
    lo: vec4u,
    hi: vec4u,
}
