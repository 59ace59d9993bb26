//! A tuned lens in words.

use tiller_protocol::{LensTuning, TunedPlace};

/// How well it does on text that it was not trained on, beside the logit lens and the control.
pub fn tuning_sentence(tuning: &LensTuning) -> String {
    let LensTuning { trained_on, held_out, places } = tuning;
    let mean = |of: fn(&TunedPlace) -> f32| places.iter().map(of).sum::<f32>() / places.len().max(1) as f32;
    let better = places.iter().filter(|place| place.tuned < place.plain).count();
    format!(
        "Trained on {trained_on} tokens. On {held_out} others it is {:.2} nats from the model's own prediction, averaged over \
         the layers, where the logit lens is {:.2} and the tuned lens with its numbers shuffled {:.2}; it is nearer at \
         {better} of {} layers.",
        mean(|place| place.tuned),
        mean(|place| place.plain),
        mean(|place| place.permuted),
        places.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tuned_lens_is_told_beside_the_logit_lens_and_its_control() {
        let place = |plain, tuned| TunedPlace { block: None, plain, tuned, permuted: 9.0 };
        let tuning = LensTuning { trained_on: 512, held_out: 96, places: vec![place(4.0, 2.0), place(1.0, 1.5)] };
        let found = tuning_sentence(&tuning);
        assert!(found.contains("is 1.75 nats") && found.contains("lens is 2.50") && found.contains("shuffled 9.00"));
        assert!(found.ends_with("nearer at 1 of 2 layers."), "{found}");
    }
}
