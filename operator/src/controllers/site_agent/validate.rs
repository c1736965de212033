//! Step 2: the domain's rules (in `reeve-site-agent`) and those of the pods that run it.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::{core::v1::PodTemplateSpec, networking::v1::NetworkPolicyEgressRule};
use reeve_api_types::{
    Content, ContentUse, FieldPath, Image, LocalReference, Problem, Reason, SecretKeyReference,
};
use reeve_crds::{PodMonitoring, Preflight, SiteAgent, SiteAgentSpec, Slurm};
use reeve_site_agent::{Agent, AgentVersion, LogLevel, Mode, Part, Runtime, ValidSite};

use super::{
    egress,
    network::Network,
    overrides::{self, mounted},
    pod::SLURM_CONF,
    pod_monitor,
    standbys::Standbys,
};
use crate::{
    controllers::typed::read,
    engine::{self, Settings},
};

/// A spec that has passed validation. Made by [`validate`] only.
#[derive(Debug)]
pub struct ValidSiteAgent {
    pub(super) site: ValidSite,
    pub(super) image: Image,
    pub(super) pull_secrets: Vec<LocalReference>,
    pub(super) stopped: bool,
    pub(super) standbys: Standbys,
    pub(super) modes: Vec<ValidMode>,
    pub(super) overrides: Option<PodTemplateSpec>,
    pub(super) service_account: Option<String>,
    pub(super) network: Option<Network>,
    pub(super) monitoring: Option<PodMonitoring>,
    pub(super) slurm: Option<Slurm>,
    pub(super) insecure: Vec<String>,
    /// Parts whose pods have yet to end.
    pub(super) releasing: BTreeSet<Part>,
    /// Parts between which a duty moves: from, to.
    pub(super) moving: Vec<(Part, Part)>,
    pub(super) preflight: Preflight,
    /// The site and the modes before others' duties were taken out.
    pub(super) unrestricted: Option<(ValidSite, Vec<ValidMode>)>,
}

/// What the spec wants, whoever has it now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole<'a> {
    pub(super) site: &'a ValidSite,
    pub(super) modes: &'a [ValidMode],
}

impl ValidSiteAgent {
    /// What the spec wants, whoever has it now.
    pub(super) fn whole(&self) -> Whole<'_> {
        let (site, modes) = match &self.unrestricted {
            Some((site, modes)) => (site, modes),
            None => (&self.site, &self.modes),
        };
        Whole { site, modes }
    }
}

impl ValidSiteAgent {
    /// The image of these pods.
    pub(super) fn image_of<'a>(&'a self, mode: &'a ValidMode) -> &'a Image {
        mode.runtime.image.as_ref().unwrap_or(&self.image)
    }
}

/// What differs between the pods of the modes, and between those of a mode's groups.
#[derive(Clone, Debug)]
pub(super) struct ValidMode {
    pub(super) part: Part,
    pub(super) runtime: Runtime,
    pub(super) log_level: Option<LogLevel>,
    pub(super) resources: k8s_openapi::api::core::v1::ResourceRequirements,
    pub(super) overrides: Option<PodTemplateSpec>,
    /// What its volumes need and is not there, a sentence for each.
    pub(super) missing: Vec<String>,
}

/// What the spec says of a mode's pods, whatever their group.
struct ModePods {
    log_level: Option<LogLevel>,
    resources: k8s_openapi::api::core::v1::ResourceRequirements,
    overrides: Option<PodTemplateSpec>,
}

/// Everything that the object refers to, with the field that does.
pub(super) fn content_uses(object: &SiteAgent) -> Vec<ContentUse> {
    let root = FieldPath::new("spec");
    let mut uses = reeve_site_agent::references(&object.spec.site, &root);
    if let Some(slurm) = &object.spec.slurm {
        uses.extend(slurm_uses(slurm, &root.field("slurm")));
    }
    uses
}

fn slurm_uses(slurm: &Slurm, path: &FieldPath) -> Vec<ContentUse> {
    // Only its being there is looked at: the pods mount the whole object.
    let conf = SecretKeyReference {
        name: slurm.config_map_ref.name.clone(),
        key: SLURM_CONF.to_owned(),
    };
    let conf = reeve_api_types::Source {
        kind: reeve_api_types::SourceKind::ConfigMap,
        ..reeve_api_types::Source::from(&conf)
    };
    let mut uses = vec![ContentUse {
        path: path.field("configMapRef"),
        source: conf,
    }];
    if let Some(key) = &slurm.munge_key_ref {
        uses.push(ContentUse {
            path: path.field("mungeKeyRef"),
            source: key.into(),
        });
    }
    uses
}

/// Everything that is wrong with the spec, at once, or a value that can only be right.
pub(super) fn validate(
    spec: &SiteAgentSpec,
    content: &engine::Content,
    _: &Settings,
    root: &FieldPath,
) -> Result<ValidSiteAgent, Vec<Problem>> {
    let mut problems = Vec::new();
    let site = keep(site(spec, content, root), &mut problems);
    problems.extend(mounted(spec, content, root));
    let overrides = keep(
        template(
            spec.pod_overrides.as_ref(),
            &root.field("podOverrides"),
            spec.slurm.as_ref(),
        ),
        &mut problems,
    )
    .flatten();
    let standbys = Standbys::of(spec.high_availability, &root.field("highAvailability"));
    let standbys = keep(standbys, &mut problems).unwrap_or_default();
    let network = keep(network(spec, &root.field("networkPolicy")), &mut problems).flatten();
    problems.extend(pod_monitor::problems(
        &spec.pod_monitor,
        &root.field("podMonitor"),
    ));
    if spec.image.tag.is_none() && spec.image.digest.is_none() {
        let message = "set a tag or a digest: without one the image could be any version";
        problems.push(Problem::new(root.field("image"), Reason::Required, message));
    }
    let used: Option<Vec<_>> = site.as_ref().map(|site| site.modes().collect());
    problems.extend(overrides::levels::problems(spec, used.as_deref(), root));
    problems.extend(overrides::levels::hidden_images(spec, root));
    let mut pods = BTreeMap::new();
    for mode in Mode::ALL {
        let its = keep(mode_pods(spec, mode, root), &mut problems);
        pods.extend(its.map(|its| (mode, its)));
    }
    match site {
        Some(site) if problems.is_empty() => {
            let insecure = site
                .insecure(root)
                .into_iter()
                .map(|i| format!("{}: {}", i.path, i.message))
                .collect();
            Ok(ValidSiteAgent {
                modes: valid_modes(&site, &pods, overrides.as_ref(), content),
                site,
                image: spec.image.clone(),
                pull_secrets: spec.image_pull_secrets.clone(),
                stopped: spec.stopped,
                standbys,
                overrides,
                service_account: spec.service_account_name.clone(),
                network,
                monitoring: Some(spec.pod_monitor.clone()).filter(|monitoring| monitoring.enabled),
                slurm: spec.slurm.clone(),
                insecure,
                releasing: BTreeSet::new(),
                moving: Vec::new(),
                preflight: spec.preflight.clone(),
                unrestricted: None,
            })
        }
        _ => Err(problems),
    }
}

fn keep<T>(result: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|found| problems.extend(found)).ok()
}

fn site(
    spec: &SiteAgentSpec,
    content: &engine::Content,
    root: &FieldPath,
) -> Result<ValidSite, Vec<Problem>> {
    let version = AgentVersion::of_image(spec.agent_version.as_deref(), spec.image.tag.as_deref()).map_err(
        |error| {
            vec![Problem::new(
                root.field("agentVersion"),
                Reason::InvalidValue,
                error.to_string(),
            )]
        },
    )?;
    let agent = Agent {
        image: Some(&spec.image),
        version,
    };
    reeve_site_agent::validate(&spec.site, agent, content, root)
}

/// What the pods mount must exist, or they hang in `ContainerCreating` without a word in status.
fn mounted(spec: &SiteAgentSpec, content: &engine::Content, root: &FieldPath) -> Vec<Problem> {
    let uses = spec
        .slurm
        .iter()
        .flat_map(|slurm| slurm_uses(slurm, &root.field("slurm")));
    uses.filter_map(|used| reeve_api_types::text(content as &dyn Content, &used.source, &used.path).err())
        .filter(|problem| problem.reason != Reason::InvalidContent)
        .collect()
}

fn template(
    overrides: Option<&reeve_crds::PodOverrides>,
    path: &FieldPath,
    slurm: Option<&Slurm>,
) -> Result<Option<PodTemplateSpec>, Vec<Problem>> {
    overrides
        .map(|overrides| overrides::check(overrides, path, slurm))
        .transpose()
}

fn mode_pods(spec: &SiteAgentSpec, mode: Mode, root: &FieldPath) -> Result<ModePods, Vec<Problem>> {
    let settings = spec.modes.get(mode);
    let path = root.field("modes").field(mode.slug()).field("podOverrides");
    Ok(ModePods {
        log_level: settings.log_level,
        resources: settings.resources.0.clone(),
        overrides: template(settings.pod_overrides.as_ref(), &path, spec.slurm.as_ref())?,
    })
}

/// The pods of each mode and group that have work.
fn valid_modes(
    site: &ValidSite,
    pods: &BTreeMap<Mode, ModePods>,
    shared: Option<&PodTemplateSpec>,
    content: &engine::Content,
) -> Vec<ValidMode> {
    let valid = |part: Part| {
        let runtime = site.runtime(&part)?.clone();
        let ModePods {
            log_level,
            resources,
            overrides,
        } = pods.get(&part.mode)?;
        Some(ValidMode {
            part,
            runtime,
            log_level: *log_level,
            resources: resources.clone(),
            overrides: overrides.clone(),
            missing: mounted::missing([shared, overrides.as_ref()], content),
        })
    };
    site.parts().into_iter().filter_map(valid).collect()
}

fn network(spec: &SiteAgentSpec, path: &FieldPath) -> Result<Option<Network>, Vec<Problem>> {
    let access = &spec.network_policy;
    let mut problems = egress::networks(&access.egress_cidrs, &path.field("egressCIDRs"));
    let path = path.field("extraEgress");
    let mut extra = Vec::new();
    for (index, rule) in access.extra_egress.iter().enumerate() {
        let path = path.index(index);
        let (rule, wrong) = read::<NetworkPolicyEgressRule>(rule, &path, "networkpolicy.spec.egress");
        if wrong.is_empty() && rule.as_ref() == Some(&NetworkPolicyEgressRule::default()) {
            let message =
                "an empty rule opens everything; write to or ports, or leave out extraEgress and egressCIDRs";
            problems.push(Problem::new(path.clone(), Reason::InvalidValue, message));
        }
        problems.extend(wrong);
        problems.extend(rule.iter().flat_map(|rule| egress::check(rule, &path)));
        extra.extend(rule);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(access.enabled.then(|| Network {
        cidrs: access.egress_cidrs.clone(),
        extra,
    }))
}
