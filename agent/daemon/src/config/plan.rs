//! Planning as it is configured.

use std::time::Duration;

use hostler_decide::plan::Policy;

use super::{
    RawConfig,
    raw::{PlanMode, RawPlan},
    within,
};

/// Planning.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanConfig {
    /// Time between two plans.
    pub interval: Duration,
    /// Who is left alone.
    pub policy: Policy,
}

impl PlanConfig {
    /// What is written of it; `None` if nothing is to be planned, and a key and a sentence if it makes no
    /// sense.
    pub(super) fn read(raw: &RawConfig) -> Result<Option<Self>, (String, String)> {
        let RawPlan {
            mode,
            interval,
            leave,
        } = &raw.plan;
        let refused = |key: &'static str| move |message: String| (format!("plan.{key}"), message);
        let interval = within(*interval, Duration::from_secs(10)..=Duration::from_hours(1));
        let interval = interval.map_err(refused("interval"))?;
        let opted_out: Result<_, String> = leave.iter().map(|pattern| pattern.parse()).collect();
        let opted_out = opted_out.map_err(refused("leave"))?;
        match mode {
            PlanMode::Observe => Ok(None),
            PlanMode::Advise if !raw.signals.placement => {
                let message = "`advise` has nothing to go by without `signals.placement`";
                Err(refused("mode")(message.to_owned()))
            }
            PlanMode::Advise => Ok(Some(Self {
                interval,
                policy: Policy { opted_out },
            })),
        }
    }
}
