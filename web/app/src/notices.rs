//! What stands above the views: what went wrong and what may help, what the user is asked, what the backend is not.

use crate::experiment::model_name;
use crate::workbench::{ModelState, Notice, Workbench};
use crate::{address, figures};
use leptos::prelude::*;
use tiller_protocol::{AccessToken, BackendChoice, Failure, ModelRef, Remedy, VectorNumbering};

#[component]
pub fn Notices() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let of_backend = move || bench.backend.with(|report| report.as_ref().and_then(|report| report.note.clone()));
    let of_model = move || match bench.model.get() {
        ModelState::Ready(model) => model.note,
        _ => None,
    };
    view! {
        <For each=move || bench.notices.get() key=|notice| notice.id let:notice>
            <NoticeBox notice/>
        </For>
        <Remark text=Signal::derive(of_backend) id="backend-note"/>
        <Remark text=Signal::derive(of_model) id="model-note"/>
    }
}

/// Something to know that is no failure, until it is put away.
#[component]
fn Remark(text: Signal<Option<String>>, id: &'static str) -> impl IntoView {
    let put_away = RwSignal::new(None::<String>);
    move || {
        text.get().filter(|text| put_away.get().as_ref() != Some(text)).map(|text| {
            let this = text.clone();
            view! {
                <div class="note">
                    <span data-testid=id>{text}</span>
                    <button class="plain" on:click=move |_| put_away.set(Some(this.clone()))>"Fine"</button>
                </div>
            }
        })
    }
}

#[component]
fn NoticeBox(notice: Notice) -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let Notice { id, failure } = notice;
    let (retry, remedy) = (failure.retry, failure.remedy);
    view! {
        <div class="notice" role="alert" data-testid="notice">
            <div class="notice-text"><b>{failure.title}</b><span>{failure.message}</span></div>
            <Show when=move || remedy == Some(Remedy::Token)><TokenForm/></Show>
            <Show when=move || remedy == Some(Remedy::Cpu)>
                <button class="btn" data-testid="use-cpu" on:click=move |_| bench.choose_backend(BackendChoice::Cpu)>"Use the CPU"</button>
            </Show>
            <Show when=move || retry>
                <button class="btn" data-testid="retry" on:click=move |_| bench.try_again()>"Try again"</button>
            </Show>
            <button class="btn" on:click=move |_| bench.dismiss(id)>"Dismiss"</button>
        </div>
    }
}

/// Where the user gives an access token. It is no login: nothing of it is stored.
#[component]
pub fn TokenForm() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    let text = RwSignal::new(String::new());
    let wrong = RwSignal::new(None::<String>);
    let give = move |submit: web_sys::SubmitEvent| {
        submit.prevent_default();
        match AccessToken::new(&text.get_untracked()) {
            Ok(token) => {
                text.set(String::new());
                wrong.set(None);
                bench.use_token(Some(token));
            }
            Err(error) => wrong.set(Some(Failure::new("", error, false).message)),
        }
    };
    view! {
        <form class="token" on:submit=give>
            <div class="row">
                <input class="field" type="password" autocomplete="off" placeholder="Access token" aria-label="Access token"
                    data-testid="token" prop:value=move || text.get() on:input=move |input| text.set(event_target_value(&input))/>
                <button class="btn" type="submit" data-testid="use-token">"Use it"</button>
            </div>
            <p class="soft small">{format!("Sent to {} only, kept until this tab is closed.", address::hub_host())}</p>
            <p class="wrong" role="alert">{move || wrong.get()}</p>
        </form>
    }
}

/// Asks before a model is downloaded that someone else has named.
#[component]
pub fn Consent() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    move || {
        let ModelState::Asked(model) = bench.model.get() else { return None };
        let agreed = model.clone();
        Some(view! {
            <div class="notice asks" role="alertdialog" aria-label="Download a model?" data-testid="consent">
                <div class="notice-text"><b>{question(&model)}</b><span>{details(&model)}</span></div>
                <button class="btn go" data-testid="consent-load" on:click=move |_| bench.agree_to_download(agreed.clone())>"Load"</button>
                <button class="btn" data-testid="consent-decline" on:click=move |_| bench.decline_download()>"Not now"</button>
            </div>
        })
    }
}

/// Asks what the numbers in a file of vectors mean, where neither it nor they say so.
#[component]
pub fn AskNumbering() -> impl IntoView {
    let bench = expect_context::<Workbench>();
    move || {
        let (first, last) = bench.numbering_asked.get()?;
        let answer = move |numbering| move |_| bench.answer_numbering(numbering);
        Some(view! {
            <div class="notice asks" role="alertdialog" aria-label="Where does the file count from?" data-testid="numbering">
                <div class="notice-text">
                    <b>{format!("This file's directions are numbered {first} to {last}, and it does not say from where.")}</b>
                    <span>"repeng numbers blocks from 0; llama.cpp's own generator writes each one number higher."</span>
                </div>
                <button class="btn" on:click=answer(Some(VectorNumbering::BlockOutput))>{format!("{first} is block {first} (repeng)")}</button>
                <button class="btn" on:click=answer(Some(VectorNumbering::OneBased))>{format!("{first} is block {} (llama.cpp's generator)", first.saturating_sub(1))}</button>
                <button class="btn" on:click=answer(None)>"Cancel"</button>
            </div>
        })
    }
}

fn question(model: &ModelRef) -> String {
    let who = if address::names_recipe() { "This link wants to load" } else { "This experiment uses" };
    let size = model.bytes.map_or_else(|| "size not said".into(), figures::bytes);
    format!("{who} {} ({size}) from {}.", model_name(model), model.repo)
}

fn details(model: &ModelRef) -> String {
    let checked = match model.sha256 {
        Some(_) => "Its checksum is named, and will be compared.",
        None => "No checksum is named: the hub's own will be compared.",
    };
    format!("It is not on this machine yet, and would be downloaded from {}. {checked}", address::hub_host())
}
