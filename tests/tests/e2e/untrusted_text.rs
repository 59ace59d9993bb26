//! A link is written by someone else: its text is shown as text, and nothing in it runs.

use crate::browser::DRAWN;
use crate::recipes::{self, smollm2};
use crate::stage::Stage;
use anyhow::{Result, ensure};
use tiller_localhub::Fault;
use tiller_recipe::{Pair, Prompt, Turn};

const HOSTILE: &str = "<img src=x onerror=\"window.ran = true\"><script>window.ran = true</script>";

#[tokio::test]
async fn markup_in_a_link_is_text() -> Result<()> {
    let stage = Stage::set("untrusted-text").await?;
    // No model is needed: the link's contents are shown before there is one.
    stage.hub.faults().always(&smollm2().file, Fault::Status(404));
    let profile = stage.profile()?;
    let mut recipe = recipes::steered(smollm2(), 576)?;
    recipe.prompt = Prompt::Chat(vec![Turn { role: "user".into(), content: HOSTILE.into() }]);
    recipe.pairs = vec![Pair { positive: HOSTILE.into(), negative: HOSTILE.into() }];
    recipe.vectors[0].name = HOSTILE.into();
    recipe.vectors[0].method = HOSTILE.into();
    recipe.backend = Some(HOSTILE.into());
    let link = recipes::link(&recipe)?;
    stage
        .play(&profile, async |page| {
            page.open(&stage.address(&format!("/?backend=cpu{link}"))).await?;
            let seen = page.until("the failure is shown", DRAWN, |seen| seen.model_is("failed")).await?;
            ensure!(seen.prompt.as_deref() == Some(HOSTILE), "the prompt is kept as it is: {:?}", seen.prompt);
            ensure!(seen.pairs == [(HOSTILE.into(), HOSTILE.into())], "the pairs too: {:?}", seen.pairs);
            let script = "
                const made = document.querySelectorAll('img[src=\"x\"], body script:not([src]):not([type])');
                return { ran: 'ran' in window, made: made.length, named: document.body.innerText.includes(arguments[0])
                    || [...document.querySelectorAll('input')].some((input) => input.value === arguments[0]) };";
            let found = page.browser.client.execute(script, vec![HOSTILE.into()]).await?;
            ensure!(found["ran"] == false && found["made"] == 0, "markup of the link became part of the page: {found}");
            ensure!(found["named"] == true, "the vector's name is shown as it is");
            Ok(())
        })
        .await
}
