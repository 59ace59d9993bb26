//! What is compared, and what is asked.

use crate::patching::EXAMPLES;
use crate::workbench::{ModelState, Workbench};
use leptos::prelude::*;
use tiller_recipe::{PatchQuestion, Patching};
use tiller_sites::{PatchDirection, PatchPlace};

/// The numbers of random controls that are offered.
const CONTROLS: [u32; 4] = [1, 2, 4, 8];

#[component]
pub fn Form() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let running = move || bench.patch.with(|patch| patch.job.is_some());
    let asked =
        move |read: fn(&Patching) -> String| move || bench.experiment.with(|experiment| read(&experiment.patch));
    let change = move |write: fn(&mut Patching, String)| {
        move |input: web_sys::Event| {
            let value = event_target_value(&input);
            bench.change("patch", |experiment| write(&mut experiment.patch, value));
        }
    };
    let question = move || bench.experiment.with(|experiment| experiment.patch.question);
    let ask =
        move |asked: PatchQuestion| bench.change("patch-question", |experiment| experiment.patch.question = asked);
    let choice = move |asked: PatchQuestion, id: &'static str, name: &'static str, title: &'static str| {
        view! {
            <label title=title>
                <input type="radio" name="question" prop:checked=move || question() == asked on:change=move |_| ask(asked)/>
                <span data-testid=id>{name}</span>
            </label>
        }
    };
    let field = move |label: &'static str,
                      id: &'static str,
                      title: &'static str,
                      read: fn(&Patching) -> String,
                      write: fn(&mut Patching, String)| {
        view! {
            <label class="labelled" title=title>{label}
                <input class="field mono" data-testid=id autocomplete="off" spellcheck="false" maxlength="2000"
                    prop:value=asked(read) on:input=change(write)/>
            </label>
        }
    };
    let submit = move |submitted: web_sys::SubmitEvent| {
        submitted.prevent_default();
        bench.run_patching();
    };
    view! {
        <form class="asking" on:submit=submit>
            <div class="row between">
                <div class="segmented" role="radiogroup" aria-label="What is asked">
                    {choice(PatchQuestion::Patching, "ask-patching", "Patching", "Which activations carry the difference between the prompts")}
                    {choice(PatchQuestion::Attribution, "ask-attribution", "Attribution", "What each part adds directly to the two answers' logits")}
                    {choice(PatchQuestion::Ablation, "ask-ablation", "Ablation", "What is lost without each head and MLP")}
                </div>
                <Examples/>
            </div>
            <div class="pairing">
                {field("Clean prompt", "patch-clean", "The prompt after which the answer is right", |p| p.clean.clone(), |p, text| p.clean = text)}
                {field("Answer", "patch-answer", "One token, with the space before it", |p| p.answer.clone(), |p, text| p.answer = text)}
                {field("Corrupt prompt", "patch-corrupt", "As many tokens; differs in what the answer depends on", |p| p.corrupt.clone(), |p, text| p.corrupt = text)}
                {field("Wrong answer", "patch-wrong", "One token, with the space before it", |p| p.wrong.clone(), |p, text| p.wrong = text)}
            </div>
            <div class="row">
                <Show when=move || question() == PatchQuestion::Patching><PatchOptions/></Show>
                <Show when=move || question() != PatchQuestion::Attribution>
                    <label class="small soft" title="Random changes of the same size, for each cell: more of them make a surer band, and take longer">"Controls "
                        <select class="field small" data-testid="patch-controls" aria-label="Random controls" on:change=change(|patching, value| {
                            patching.controls = value.parse().unwrap_or(patching.controls);
                        })>
                            {move || {
                                let now = bench.experiment.with(|experiment| experiment.patch.controls);
                                let offered = CONTROLS.into_iter().chain((!CONTROLS.contains(&now)).then_some(now));
                                offered.map(|count| view! { <option value=count.to_string() selected=count == now>{count}</option> }).collect_view()
                            }}
                        </select>
                    </label>
                </Show>
                <span class="spring"></span>
                <Show when=running fallback=move || view! {
                    <button class="btn go" type="submit" data-testid="run-patching" title="Ctrl+Enter"
                        prop:disabled=move || !matches!(bench.model.get(), ModelState::Ready(_))>"Run"</button>
                }>
                    <button class="btn go" type="button" data-testid="stop-patching" title="Esc" on:click=move |_| bench.stop_patching()>"Stop"</button>
                </Show>
            </div>
        </form>
    }
}

#[component]
fn Examples() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let current = Memo::new(move |_| {
        bench.experiment.with(|experiment| EXAMPLES.iter().position(|example| example.is_in(&experiment.patch)))
    });
    let choose = move |input: web_sys::Event| {
        let chosen = event_target_value(&input).parse::<usize>().ok().and_then(|n| EXAMPLES.get(n));
        if let Some(example) = chosen {
            bench.change("patch-example", |experiment| example.put_into(&mut experiment.patch));
        }
    };
    view! {
        <label class="small soft">"Example "
            <select class="field small examples" data-testid="patch-example" on:change=choose>
                {move || {
                    let now = current.get();
                    let own = now.is_none().then(|| view! { <option value="" selected=true>"your own"</option> });
                    let offered = EXAMPLES.iter().enumerate().map(|(n, example)| view! {
                        <option value=n.to_string() selected=now == Some(n)>{example.name}</option>
                    });
                    (own, offered.collect_view())
                }}
            </select>
        </label>
    }
}

/// What is patched, and which way round.
#[component]
fn PatchOptions() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let place = move || bench.experiment.with(|experiment| experiment.patch.place);
    let choose = move |input: web_sys::Event| {
        if let Ok(place) = event_target_value(&input).parse::<PatchPlace>() {
            bench.change("patch-place", |experiment| experiment.patch.place = place);
        }
    };
    let direction = move || bench.experiment.with(|experiment| experiment.patch.direction);
    let turn = move |direction: PatchDirection, name: &'static str, title: &'static str| {
        let now = move || bench.experiment.with(|experiment| experiment.patch.direction) == direction;
        view! {
            <label title=title>
                <input type="radio" name="direction" prop:checked=now
                    on:change=move |_| bench.change("patch-direction", |experiment| experiment.patch.direction = direction)/>
                <span data-testid=direction.name()>{name}</span>
            </label>
        }
    };
    view! {
        <label class="small soft">"What "
            <select class="field small places" data-testid="patch-place" on:change=choose>
                {PatchPlace::ALL.map(|offered| view! {
                    <option value=offered.name() selected=move || place() == offered>{title(offered)}</option>
                }).into_iter().collect_view()}
            </select>
        </label>
        <div class="segmented" role="radiogroup" aria-label="Direction" data-direction=move || direction().name()>
            {turn(PatchDirection::Denoise, "Clean into corrupt", "Denoising: what is enough to bring the answer back")}
            {turn(PatchDirection::Noise, "Corrupt into clean", "Noising: what the answer cannot do without")}
        </div>
    }
}

fn title(place: PatchPlace) -> &'static str {
    match place {
        PatchPlace::ResidPre => "Stream before a block",
        PatchPlace::AttnOut => "Attention's output",
        PatchPlace::ResidMid => "Stream within a block",
        PatchPlace::MlpOut => "MLP's output",
        PatchPlace::ResidPost => "Stream after a block",
        PatchPlace::Heads => "Each head, all tokens",
        PatchPlace::HeadsAtLast => "Each head, last token",
    }
}
