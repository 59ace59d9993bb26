//! A chat template, and a conversation that is written by it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiller_fuzz::{Bound, bounded, read};
use tiller_model::{ChatTemplate, Message};

// One multiplication of a text makes up to 100 MB (minijinja's own limit, which no setting lowers); this is against
// what grows beyond a few of them.
const BOUND: Bound = Bound { per_byte: 1024, fixed: 512 << 20 };

fuzz_target!(|source: &str| {
    bounded(source.len(), BOUND, || {
        let Some(template) = read(ChatTemplate::new(source)) else { return };
        let messages =
            [Message::new("system", "Be brief."), Message::new("user", "Hi <b>"), Message::new("assistant", "é")];
        for messages in [&messages[..], &messages[1..2], &[]] {
            let _ = read(template.render(messages, true, "<s>", "</s>"));
        }
    });
});
