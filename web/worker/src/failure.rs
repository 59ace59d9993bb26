//! How a job ends that does not succeed.

use tiller_engine::{EngineError, GpuError};
use tiller_experiment::{LoadError, PromptError};
use tiller_hub::HubError;
use tiller_interp::InterpError;
use tiller_protocol::Failure;

pub enum Stop {
    Cancelled,
    Failed(Failure),
}

impl Stop {
    pub fn failed(title: &str, message: impl ToString) -> Stop {
        Stop::Failed(Failure::new(title, message, false))
    }

    fn worth_retrying(title: &str, message: impl ToString) -> Stop {
        Stop::Failed(Failure::new(title, message, true))
    }
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Stop {
        match error {
            EngineError::Cancelled => Stop::Cancelled,
            EngineError::Gpu(GpuError::Lost(_)) => Stop::worth_retrying("The GPU was lost", error),
            EngineError::Model(_) => Stop::failed("This model cannot be used", error),
            EngineError::Gpu(_) => Stop::worth_retrying("The GPU refused", error),
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

impl From<tiller_recipe::RecipeError> for Stop {
    fn from(error: tiller_recipe::RecipeError) -> Stop {
        Stop::failed("The experiment cannot be used", error)
    }
}

impl From<HubError> for Stop {
    fn from(error: HubError) -> Stop {
        match error {
            HubError::Cancelled => Stop::Cancelled,
            _ if error.worth_retrying() => Stop::worth_retrying("The model could not be fetched", error),
            _ => Stop::failed("The model could not be fetched", error),
        }
    }
}
