//! What an SAE reads, where only the name of its folder says it.

use super::hook_names::from_module;

/// The activation that an SAE reads by its place in a repository, under TransformerLens's name; `None` where the place
/// does not say it. Sparsify calls folders by modules (`layers.15` is that layer's output, `layers.15.mlp` its MLP's);
/// Gemma Scope by layers, and the repository by what is read there (`gemma-scope-2b-pt-res`, `layer_12/width_16k`).
pub fn site_of_folder(repository: &str, folder: &str) -> Option<String> {
    let last = folder.rsplit('/').next()?;
    if let Some(module) = last.strip_prefix("layers.").or_else(|| last.strip_prefix("h.")) {
        let (layer, part) = module.split_once('.').unwrap_or((module, ""));
        let layer: u32 = layer.parse().ok()?;
        let hook = match part {
            "" => "hook_resid_post",
            "mlp" => "hook_mlp_out",
            "attention" | "attn" | "self_attn" => "hook_attn_out",
            _ => return None,
        };
        return Some(format!("blocks.{layer}.{hook}"));
    }
    let layer: u32 = folder.split('/').next()?.strip_prefix("layer_")?.split('_').next()?.parse().ok()?;
    match repository.rsplit('-').next()? {
        "res" => Some(format!("blocks.{layer}.hook_resid_post")),
        "mlp" => Some(format!("blocks.{layer}.hook_mlp_out")),
        "att" => from_module(&format!("model.layers.{layer}.self_attn.o_proj.input")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::site_of_folder;

    #[test]
    fn a_place_in_a_repository_says_what_is_read() {
        let site = |repository, folder| site_of_folder(repository, folder).unwrap_or_default();
        assert_eq!(site("acme/sae-SmolLM2-135M-64x", "layers.15"), "blocks.15.hook_resid_post");
        assert_eq!(site("acme/sae-SmolLM2-135M-64x", "topk/layers.3.mlp"), "blocks.3.hook_mlp_out");
        assert_eq!(site("acme/gemma-scope-2b-pt-res", "layer_12/width_16k/average_l0_82"), "blocks.12.hook_resid_post");
        assert_eq!(site("acme/gemma-scope-2b-pt-att", "layer_3/width_16k/average_l0_82"), "blocks.3.attn.hook_z");
        for (repository, folder) in [
            ("a/b", ""),
            ("a/b", "layer_12/width_16k"),
            ("a/b-res", "layer_x"),
            ("a/b", "layers.x"),
            ("a/b", "layers.1.q"),
        ] {
            assert_eq!(site(repository, folder), "", "{repository} {folder}");
        }
    }
}
