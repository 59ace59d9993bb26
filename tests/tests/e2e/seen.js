// What a person sees of the page, as plain data. Elements are found by their data-testid.
const at = (id) => document.querySelector(`[data-testid="${id}"]`);
const all = (id) => [...document.querySelectorAll(`[data-testid="${id}"]`)];
const visible = (element) => element != null && element.checkVisibility({ visibilityProperty: true });
const text = (id) => (visible(at(id)) ? at(id).innerText.trim() : null);
const state = (id) => at(id)?.dataset.state ?? null;
const run = (id) => ({
  state: state(id),
  tokens: [...(at(id)?.querySelectorAll("[data-token-id]") ?? [])].map((token) => ({
    id: Number(token.dataset.tokenId),
    text: token.textContent,
    strength: token.dataset.strength == null ? null : Number(token.dataset.strength),
  })),
});
return {
  model: state("model-status"),
  backend: at("model-status")?.dataset.backend ?? null,
  threads: at("model-status")?.dataset.threads == null ? null : Number(at("model-status").dataset.threads),
  progress: text("progress"),
  prompt: at("prompt")?.value ?? null,
  pairs: all("pair-positive").map((positive, i) => [positive.value, all("pair-negative")[i]?.value ?? ""]),
  strength: at("strength") == null ? null : Number(at("strength").value),
  vector: state("vector-status"),
  plain: run("plain-text"),
  steered: run("steered-text"),
  link: at("link-field")?.value ?? null,
  notices: all("notice").filter(visible).map((notice) => notice.innerText.trim()),
  note: text("backend-note"),
  model_note: text("model-note"),
  asked: text("consent"),
  listing: text("listing"),
  evidence: text("evidence"),
};
