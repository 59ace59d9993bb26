//! How a job ends that does not succeed.

use tiller_engine::{EngineError, GpuError};
use tiller_experiment::{EditError, LoadError, ProbeTextsError, PromptError};
use tiller_hub::HubError;
use tiller_interp::InterpError;
use tiller_protocol::{Failure, Remedy};

pub enum Stop {
    Cancelled,
    Failed(Failure),
}

impl Stop {
    pub fn failed(title: &str, message: impl ToString) -> Stop {
        Stop::Failed(Failure::new(title, message, false))
    }
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Stop {
        match error {
            EngineError::Cancelled => Stop::Cancelled,
            EngineError::Gpu(GpuError::Lost(_)) => of_gpu("The GPU was lost", error),
            EngineError::Model(_) => Stop::failed("This model cannot be used", error),
            EngineError::Gpu(_) => of_gpu("The GPU refused", error),
            _ => Stop::failed("That did not work", error),
        }
    }
}

impl From<InterpError> for Stop {
    fn from(error: InterpError) -> Stop {
        match error {
            InterpError::Engine(error) => error.into(),
            _ => Stop::failed("That did not work", error),
        }
    }
}

impl From<LoadError> for Stop {
    fn from(error: LoadError) -> Stop {
        match error {
            LoadError::Engine(error) => error.into(),
            LoadError::Files(_) => Stop::failed("This model cannot be used", error),
        }
    }
}

impl From<PromptError> for Stop {
    fn from(error: PromptError) -> Stop {
        Stop::failed("The prompt cannot be used", error)
    }
}

impl From<ProbeTextsError> for Stop {
    fn from(error: ProbeTextsError) -> Stop {
        match error {
            ProbeTextsError::Prompt(error) => error.into(),
            _ => Stop::failed("The dataset cannot be used", error),
        }
    }
}

impl From<tiller_recipe::RecipeError> for Stop {
    fn from(error: tiller_recipe::RecipeError) -> Stop {
        Stop::failed("The experiment cannot be used", error)
    }
}

impl From<EditError> for Stop {
    fn from(error: EditError) -> Stop {
        match error {
            EditError::Recipe(error) => error.into(),
            EditError::Prompt(error) => error.into(),
            EditError::Engine(error) => error.into(),
        }
    }
}

impl From<HubError> for Stop {
    fn from(error: HubError) -> Stop {
        of_hub("The model could not be fetched", error)
    }
}

/// A repository about which the hub says nothing.
pub fn not_listed(error: HubError) -> Stop {
    of_hub("The repository could not be listed", error)
}

fn of_hub(title: &str, error: HubError) -> Stop {
    if matches!(error, HubError::Cancelled) {
        return Stop::Cancelled;
    }
    let failure = Failure::new(title, &error, error.worth_retrying());
    Stop::Failed(match error {
        HubError::Offline => failure.with_remedy(Remedy::Line),
        _ if error.wants_token() => failure.with_remedy(Remedy::Token),
        _ => failure,
    })
}

/// Whatever a GPU does, the CPU can do in its place.
pub fn of_gpu(title: &str, error: impl ToString) -> Stop {
    Stop::Failed(Failure::new(title, error, true).with_remedy(Remedy::Cpu))
}
