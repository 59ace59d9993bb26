//! Patching, attribution, ablation, and where heads look.

use super::session;
use crate::desk::Bench;
use crate::failure::Stop;
use crate::host::{self, Throttle};
use crate::live::Live;
use tiller_experiment::{ABLATION_NEUTRAL_TOKENS, Session};
use tiller_interp::InterpError;
use tiller_interp::attention::attention_patterns;
use tiller_interp::attribution::{Component, direct_logit_attribution};
use tiller_interp::patch::{self, Ablation, AblationStep, Metric, Replacement, ablation_sweep, activation_patching};
use tiller_protocol::{
    AblatedLayer, Attention, Attribution, AttributionShare, Baseline, Effect, Event, PatchCell, PatchPrompts,
    PatchStep, Progress, PromptToken, Stage,
};
use tiller_recipe::{PatchQuestion, Patching, Prompt};

/// The longest text whose cells a person looks at.
const MOST_TOKENS: usize = 64;

pub async fn run(bench: &mut Bench, live: &Live, patching: &Patching) -> Result<Event, Stop> {
    let session = session(bench)?;
    let [clean, corrupt] = [&patching.clean, &patching.corrupt].map(|text| session.tokens(&Prompt::Text(text.clone())));
    let (clean, corrupt) = (clean?, corrupt?);
    for tokens in [&clean, &corrupt] {
        if tokens.is_empty() {
            return Err(Stop::failed("There is no prompt", "Write both prompts, or choose an example."));
        }
        if tokens.len() > MOST_TOKENS {
            let found = tokens.len();
            let remedy = format!("It has {found} tokens, and at most {MOST_TOKENS} can be patched here; shorten it.");
            return Err(Stop::failed("The prompt is too long", remedy));
        }
    }
    let config = session.engine.config();
    let prompts = PatchPrompts {
        clean: spelt(session, &clean),
        corrupt: spelt(session, &corrupt),
        layers: config.layers,
        heads: config.heads,
    };
    tell(live, PatchStep::Prompts(prompts));
    let answer = session.one_token(&patching.answer)?;
    let wrong = session.one_token(&patching.wrong)?;
    match patching.question {
        PatchQuestion::Patching => {
            session.equal_tokens(&Prompt::Text(patching.clean.clone()), &Prompt::Text(patching.corrupt.clone()))?;
            patch(session, live, patching, [&clean, &corrupt], Metric::LogitDifference { answer, wrong }).await?;
        }
        PatchQuestion::Attribution => {
            let progress = counting(live);
            let found = direct_logit_attribution(&mut session.engine, &clean, answer, wrong, live, progress).await?;
            let shares = found.shares.iter().map(|share| AttributionShare {
                part: name(share.component),
                head: if let Component::Head { layer, head } = share.component { Some((layer, head)) } else { None },
                value: share.value,
            });
            let attribution = Attribution { difference: found.logit_difference, shares: shares.collect() };
            tell(live, PatchStep::Attribution(attribution));
        }
        PatchQuestion::Ablation => {
            ablate(session, live, &clean, Metric::LogitDifference { answer, wrong }, patching.controls).await?;
        }
    }
    Ok(Event::Patched { job: live.job })
}

async fn patch(
    session: &mut Session,
    live: &Live,
    patching: &Patching,
    [clean, corrupt]: [&[u32]; 2],
    metric: Metric,
) -> Result<(), Stop> {
    let seeds: Vec<u32> = (1..=patching.controls).collect();
    let what = patch::Patching {
        clean,
        corrupt,
        metric,
        place: patching.place,
        direction: patching.direction,
        seeds: &seeds,
        unrelated: &[],
    };
    // Cells come by the step of many rows, and are sent as many at a time.
    let mut ready = Vec::new();
    let throttle = Throttle::new();
    let sink = |step| match step {
        patch::PatchStep::Baseline(found) => {
            let patch::PatchBaseline { clean, corrupt, first_difference, columns, .. } = found;
            tell(live, PatchStep::Baseline(Baseline { clean, corrupt, first_difference, columns }));
        }
        patch::PatchStep::Cell(cell) => {
            let patch::PatchCell { layer, column, metric, effect, controls, .. } = cell;
            ready.push(PatchCell { layer, column, difference: metric, effect, controls });
            if throttle.open() {
                tell(live, PatchStep::Cells(std::mem::take(&mut ready)));
            }
        }
    };
    let ended = activation_patching(&mut session.engine, &what, live, counting(live), sink).await;
    // What came before it was stopped is shown.
    if !ready.is_empty() {
        tell(live, PatchStep::Cells(ready));
    }
    match ended {
        // No fault: it is what these prompts show.
        Err(InterpError::TooLittleDifference { clean, corrupt, .. }) => {
            tell(live, PatchStep::TooAlike { clean, corrupt });
            Ok(())
        }
        ended => Ok(ended?),
    }
}

async fn ablate(session: &mut Session, live: &Live, prompt: &[u32], metric: Metric, controls: u32) -> Result<(), Stop> {
    let mut neutral = session.neutral()?;
    neutral.truncate(ABLATION_NEUTRAL_TOKENS);
    let seeds: Vec<u32> = (1..=controls).collect();
    let what = Ablation {
        prompt,
        metric,
        neutral: &[neutral],
        replacement: Replacement::Mean,
        seeds: &seeds,
        with_cost: true,
    };
    let effect = |effect: &patch::Effect| Effect { difference: effect.metric, perplexity: effect.perplexity };
    let all = |effects: &[patch::Effect]| effects.iter().map(effect).collect();
    let sink = |step| {
        tell(
            live,
            match step {
                AblationStep::Baseline(whole) => {
                    PatchStep::Whole { difference: whole.metric, perplexity: whole.perplexity }
                }
                AblationStep::Layer(layer) => PatchStep::Ablated(AblatedLayer {
                    layer: layer.layer,
                    heads: all(&layer.heads),
                    head_controls: all(&layer.head_controls),
                    mlp: effect(&layer.mlp),
                    mlp_controls: all(&layer.mlp_controls),
                }),
            },
        );
    };
    Ok(ablation_sweep(&mut session.engine, &what, live, counting(live), sink).await?)
}

pub async fn attention(bench: &mut Bench, live: &Live, text: &str, layer: u32) -> Result<Event, Stop> {
    let session = session(bench)?;
    let tokens = session.tokens(&Prompt::Text(text.into()))?;
    if tokens.len() > MOST_TOKENS {
        return Err(Stop::failed("The prompt is too long", "Shorten it to see where its heads look."));
    }
    let patterns = attention_patterns(&mut session.engine, &tokens, layer, live, |_, _| {}).await?;
    let heads = patterns.into_iter().map(|head| head.rows).collect();
    let attention = Attention { layer, tokens: spelt(session, &tokens), heads };
    Ok(Event::Attention { job: live.job, attention })
}

fn spelt(session: &Session, tokens: &[u32]) -> Vec<PromptToken> {
    tokens.iter().map(|&id| PromptToken { id, text: session.tokenizer.token_text(id) }).collect()
}

fn tell(live: &Live, step: PatchStep) {
    host::send(Event::Patch { job: live.job, step });
}

/// Tells the page how many runs of how many are done.
fn counting(live: &Live) -> impl FnMut(u64, u64) {
    let (job, throttle) = (live.job, Throttle::new());
    move |done, total| {
        if throttle.open() || done == total {
            let progress = Progress { stage: Stage::Patching, done, total: Some(total), rate: None };
            host::send(Event::Progress { job, progress });
        }
    }
}

fn name(component: Component) -> String {
    match component {
        Component::Embedding => "embedding".into(),
        Component::Head { layer, head } => format!("head {layer}.{head}"),
        Component::AttentionBias { layer } => format!("attention bias {layer}"),
        Component::Attention { layer } => format!("attention {layer}"),
        Component::Mlp { layer } => format!("MLP {layer}"),
        Component::FinalNormBias => "final norm's bias".into(),
    }
}
