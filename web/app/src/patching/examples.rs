//! Prompts to begin with.

use tiller_recipe::Patching;

/// Two prompts that differ in one thing, and the answers that follow from it.
pub struct Example {
    pub name: &'static str,
    pub clean: &'static str,
    pub corrupt: &'static str,
    pub answer: &'static str,
    pub wrong: &'static str,
}

/// SmolLM2-135M-Instruct tells all of these apart by several logits, but for the last, where it does not: that is a
/// result too.
pub const EXAMPLES: [Example; 6] = [
    Example {
        name: "Who was given the drink",
        clean: "When Mary and John went to the store, John gave a drink to",
        corrupt: "When Mary and John went to the store, Mary gave a drink to",
        answer: " Mary",
        wrong: " John",
    },
    Example {
        name: "The capital of a country",
        clean: "The capital of France is",
        corrupt: "The capital of Germany is",
        answer: " Paris",
        wrong: " Berlin",
    },
    Example {
        name: "She or he",
        clean: "My aunt is tired, because",
        corrupt: "My uncle is tired, because",
        answer: " she",
        wrong: " he",
    },
    Example {
        name: "Are or is",
        clean: "The pictures on the wall",
        corrupt: "The picture on the wall",
        answer: " are",
        wrong: " is",
    },
    Example {
        name: "The opposite of a word",
        clean: "The opposite of hot is",
        corrupt: "The opposite of big is",
        answer: " cold",
        wrong: " small",
    },
    Example {
        name: "Fish or not (this model cannot tell)",
        clean: "Question: Is a whale a fish? Answer:",
        corrupt: "Question: Is a shark a fish? Answer:",
        answer: " No",
        wrong: " Yes",
    },
];

impl Example {
    /// The example in place of what is compared; what is asked stays.
    pub fn put_into(&self, patching: &mut Patching) {
        let texts = [&mut patching.clean, &mut patching.corrupt, &mut patching.answer, &mut patching.wrong];
        for (text, own) in texts.into_iter().zip([self.clean, self.corrupt, self.answer, self.wrong]) {
            *text = own.into();
        }
    }

    pub fn is_in(&self, patching: &Patching) -> bool {
        let Patching { clean, corrupt, answer, wrong, .. } = patching;
        [clean, corrupt, answer, wrong].into_iter().eq([self.clean, self.corrupt, self.answer, self.wrong])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_finds_the_first_example() {
        assert!(EXAMPLES[0].is_in(&Patching::default()));
        let mut patching = Patching { controls: 5, ..Patching::default() };
        EXAMPLES[1].put_into(&mut patching);
        assert!(EXAMPLES[1].is_in(&patching) && patching.controls == 5);
    }
}
