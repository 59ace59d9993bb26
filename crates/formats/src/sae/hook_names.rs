//! The names by which files call activations, brought to TransformerLens's.

/// The name of an activation that a file calls by the module of the `transformers` library that puts it out or takes it
/// in; `None` where the name is not one that Gemma Scope 2 uses.
pub fn from_module(name: &str) -> Option<String> {
    let (layer, rest) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let layer: u32 = layer.parse().ok()?;
    let hook = match rest {
        "output" => "hook_resid_post",
        "self_attn.o_proj.input" => "attn.hook_z",
        "pre_feedforward_layernorm.output" => "hook_mlp_in",
        "post_feedforward_layernorm.output" => "hook_mlp_out",
        _ => return None,
    };
    Some(format!("blocks.{layer}.{hook}"))
}

#[cfg(test)]
mod tests {
    use super::from_module;

    #[test]
    fn modules_are_called_by_their_hooks() {
        assert_eq!(from_module("model.layers.9.output").unwrap(), "blocks.9.hook_resid_post");
        assert_eq!(from_module("model.layers.0.self_attn.o_proj.input").unwrap(), "blocks.0.attn.hook_z");
        for unknown in ["model.layers.x.output", "model.norm.output", "model.layers.1.self_attn.output", ""] {
            assert_eq!(from_module(unknown), None);
        }
    }
}
