//! What the two levels of overrides, `spec.podOverrides` and those of a mode, amount to together: a container has an
//! image and a mount a volume at one of them, and no request is above its limit.

use k8s_openapi::{
    DeepMerge,
    api::core::v1::{PodSpec, PodTemplateSpec, ResourceRequirements},
};
use reeve_api_types::{FieldPath, Problem, Reason};
use reeve_crds::{PodOverrides, SiteAgentSpec, names};
use reeve_site_agent::Mode;

use super::super::pod::mounts;
use crate::controllers::pod_template::{
    missing::{Gives, Ours, missing},
    resources,
};

/// What is missing or contradicts, over all levels; `used` are the modes that have pods, when that is known.
pub(in super::super) fn problems(
    spec: &SiteAgentSpec,
    used: Option<&[Mode]>,
    root: &FieldPath,
) -> Vec<Problem> {
    let shared = Level::of(spec.pod_overrides.as_ref());
    let modes: Vec<_> = used
        .unwrap_or(&Mode::ALL)
        .iter()
        .map(|mode| (*mode, Level::of(spec.modes.get(*mode).pod_overrides.as_ref())))
        .collect();
    let mounts = mounts(spec.slurm.as_ref());
    let volumes: Vec<_> = mounts.iter().map(|mount| mount.name.as_str()).collect();
    let mut problems = shared.missing(&volumes, &root.field("podOverrides"), &|gives| {
        let mut gives = modes.iter().map(|(_, mode)| mode.may(gives));
        match used {
            Some([]) => false,
            Some(_) => gives.all(|gives| gives),
            None => gives.any(|gives| gives),
        }
    });
    for (mode, level) in &modes {
        let path = root.field("modes").field(mode.slug());
        let missing = level.missing(&volumes, &path.field("podOverrides"), &|gives| shared.may(gives));
        problems.extend(missing);
        let wanted = &spec.modes.get(*mode).resources.0;
        problems.extend(sizes(wanted, [&shared, level], &path.field("resources")));
    }
    problems
}

/// Overrides that give the agent's container an image, where offerings have images of their own: they would all get that
/// one, since overrides are merged in last.
pub(in super::super) fn hidden_images(spec: &SiteAgentSpec, root: &FieldPath) -> Vec<Problem> {
    let offerings = &spec.site.offerings;
    let Some(index) = offerings.iter().position(|offering| offering.image.is_some()) else {
        return Vec::new();
    };
    let modes = Mode::ALL.map(|mode| {
        let overrides = spec.modes.get(mode).pod_overrides.as_ref();
        (overrides, root.field("modes").field(mode.slug()))
    });
    let levels = [(spec.pod_overrides.as_ref(), root.clone())]
        .into_iter()
        .chain(modes);
    let hidden = levels.filter_map(|(overrides, path)| {
        let level = Level::of(overrides);
        let mut containers = level.spec()?.containers.iter();
        let at = containers.position(|container| {
            container.name == names::AGENT_CONTAINER && container.image.is_some()
        })?;
        let message = format!(
            "would replace the image of offerings[{index}] too; remove it, and name images in spec.image and in the \
             offerings"
        );
        let path = path.field("podOverrides").field("spec").field("containers").index(at);
        Some(Problem::new(path.field("image"), Reason::Conflict, message))
    });
    hidden.collect()
}

/// What is wrong with a mode's resources, alone or with what the overrides make of them.
fn sizes(wanted: &ResourceRequirements, levels: [&Level; 2], path: &FieldPath) -> Vec<Problem> {
    let alone = resources(wanted, path);
    let mut merged = wanted.clone();
    for theirs in levels.into_iter().filter_map(Level::of_agent) {
        merged.merge_from(theirs.clone());
    }
    if !alone.is_empty() || merged == *wanted {
        return alone;
    }
    // What is wrong with the overrides alone has been said.
    let contradicts = |problem: &Problem| problem.reason == Reason::Conflict;
    let found = resources(&merged, path).into_iter().filter(contradicts);
    found
        .map(|problem| Problem {
            message: format!("with podOverrides merged in, {}", problem.message),
            ..problem
        })
        .collect()
}

/// The overrides of one level.
enum Level {
    None,
    /// Not a pod template, which is a problem already: who knows what it gives.
    Unknown,
    Given(Box<PodTemplateSpec>),
}

impl Level {
    fn of(overrides: Option<&PodOverrides>) -> Self {
        overrides.map_or(Self::None, |overrides| {
            serde_json::from_value(overrides.0.clone()).map_or(Self::Unknown, Self::Given)
        })
    }

    fn spec(&self) -> Option<&PodSpec> {
        match self {
            Self::Given(template) => template.spec.as_ref(),
            Self::None | Self::Unknown => None,
        }
    }

    fn may(&self, gives: &Gives<'_>) -> bool {
        matches!(self, Self::Unknown) || self.spec().is_some_and(gives)
    }

    fn of_agent(&self) -> Option<&ResourceRequirements> {
        let mut containers = self.spec()?.containers.iter();
        let agent = containers.find(|container| container.name == names::AGENT_CONTAINER);
        agent?.resources.as_ref()
    }

    /// What is missing here, unless `other` gives it. `volumes` are the operator's.
    fn missing(
        &self,
        volumes: &[&str],
        path: &FieldPath,
        other: &dyn Fn(&Gives<'_>) -> bool,
    ) -> Vec<Problem> {
        let ours = Ours {
            containers: &[names::AGENT_CONTAINER, names::SUPERVISOR_INIT_CONTAINER],
            called: "agent (under initContainers: install-supervisor)",
            volumes,
        };
        self.spec()
            .map(|spec| missing(spec, &ours, path, other))
            .unwrap_or_default()
    }
}
