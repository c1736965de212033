//! Step 3: everything that a valid `SiteAgent` wants to exist. No clock, no randomness, no cluster.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::{Deployment, DeploymentSpec},
        coordination::v1::Lease,
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use reeve_crds::{OfferingStatus, names};
use reeve_site_agent::{Part, ValidSite};
use sha2::{Digest, Sha256};

use super::{
    claims, network,
    pod::{PodContext, configuration},
    pod_monitor,
    preflight::{self, Gates, Live, config_secret},
    put_back, rbac,
    standbys::Standbys,
    validate::{ValidMode, ValidSiteAgent},
};
use crate::engine::{
    Built, ChildKey, ChildState, Children, Detail, Observed, Owner, Settings, kind::AgentUpdate,
};

/// What `conclude` needs to know of a valid spec; no secret among it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The modes.
    pub modes: Vec<ModeOutline>,
    /// The offerings and their modes, as status shows them.
    pub offerings: Vec<OfferingStatus>,
    /// Scaled to zero on purpose.
    pub stopped: bool,
    /// What goes unprotected to outside the cluster, a sentence each.
    pub insecure: Vec<String>,
    /// What preflights look at.
    pub(super) preflight: preflight::Outline,
    /// Name of the `PodMonitor` that is wanted.
    pub pod_monitor: Option<String>,
}

/// What `conclude` needs to know of the pods of a mode and group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeOutline {
    /// The mode and the group.
    pub part: Part,
    /// Name of its Deployment.
    pub deployment: String,
    /// Name of its Lease.
    pub lease: String,
    /// Digest of its configuration.
    pub config_hash: String,
    /// Pods wanted.
    pub desired: i32,
    /// How many of them stand by.
    pub standbys: Standbys,
    /// Whether its pod template is the one that is wanted.
    pub(super) rollout: put_back::Outline,
}

/// Supervisors of another operator version that run now, by Deployment. They stay until the pods change anyway
/// (an upgrade of the operator restarts nothing), unless `--agent-update=now`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct LiveSupervisors(BTreeMap<String, LiveSupervisor>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LiveSupervisor {
    image: String,
    template_hash: Option<String>,
}

impl LiveSupervisors {
    /// Reads them off the live Deployments. Those that run this operator's own are no news.
    pub(super) fn of(observed: &Observed, settings: &Settings) -> Self {
        if settings.agent_update == AgentUpdate::Now {
            return Self::default();
        }
        let live = |(key, child): (&ChildKey, &ChildState)| match &child.detail {
            Detail::Deployment(state) => {
                let (image, template_hash) = (state.supervisor_image.clone()?, state.template_hash.clone());
                Some((key.name.clone(), LiveSupervisor { image, template_hash }))
            }
            _ => None,
        };
        let other = |(_, live): &(String, LiveSupervisor)| live.image != settings.agents_image;
        Self(observed.0.iter().filter_map(live).filter(other).collect())
    }

    /// The image to go on with: the live one when nothing else of the template changes.
    fn image_for(&self, deployment: &str, template_hash: &str) -> Option<&str> {
        let live = self.0.get(deployment)?;
        (live.template_hash.as_deref() == Some(template_hash)).then_some(live.image.as_str())
    }
}

/// Builds the children.
pub(super) fn build(
    owner: &Owner,
    valid: &ValidSiteAgent,
    live: &Live,
    settings: &Settings,
) -> Built<Outline> {
    let mut children = Children::default();
    let account = valid
        .service_account
        .clone()
        .unwrap_or_else(|| owner.child_name(&[]));
    if let Some(network) = &valid.network {
        children.apply(&network::policy(owner, network));
    }
    if let Some(monitoring) = &valid.monitoring {
        children.apply(&pod_monitor::pod_monitor(owner, monitoring));
    }
    let gates = Gates::new(owner, valid, live, settings, &account);
    let context = ModeContext {
        owner,
        valid,
        live,
        settings,
        account: &account,
        gates: &gates,
    };
    let modes: Vec<_> = valid
        .modes
        .iter()
        .map(|mode| context.build(mode, &mut children))
        .collect();
    let mut leases: Vec<_> = modes.iter().map(|mode| mode.lease.clone()).collect();
    leases.extend(claims::leases_of_releasing(owner, valid, &mut children));
    children.apply(&rbac::lease_role(owner, leases));
    let put_back: BTreeSet<_> = modes
        .iter()
        .filter_map(|mode| mode.rollout.account.as_deref())
        .collect();
    if valid.service_account.is_none() || put_back.contains(owner.child_name(&[]).as_str()) {
        children.apply(&rbac::service_account(owner));
    }
    let others: BTreeSet<_> = gates.other_accounts().into_iter().chain(put_back).collect();
    let others = others.into_iter().filter(|other| *other != account);
    children.apply(&rbac::lease_role_binding(owner, others.chain([account.as_str()])));
    let preflight = gates.build(&mut children);
    let offerings = valid.site.all_offerings().iter().map(|offering| OfferingStatus {
        name: offering.spec().name.clone(),
        modes: offering.parts().collect(),
    });
    let offerings = offerings.collect();
    let outline = Outline {
        modes,
        offerings,
        stopped: valid.stopped,
        insecure: valid.insecure.clone(),
        preflight,
        pod_monitor: valid.monitoring.as_ref().map(|_| pod_monitor::name(owner)),
    };
    Built { children, outline }
}

struct ModeContext<'a> {
    owner: &'a Owner,
    valid: &'a ValidSiteAgent,
    live: &'a Live,
    settings: &'a Settings,
    account: &'a str,
    gates: &'a Gates<'a>,
}

impl ModeContext<'_> {
    /// The Lease, the configuration and the Deployment of one group of a mode.
    fn build(&self, mode: &ValidMode, children: &mut Children) -> ModeOutline {
        let component = &mode.part.to_string();
        let name = self.owner.child_name(&[component]);
        children.apply(&Lease {
            metadata: self.owner.meta(&name, component),
            ..Lease::default()
        });
        let site = self.valid.site.of_group(&mode.part.group);
        let data = configuration(&site, self.valid.slurm.as_ref(), mode.part.mode, mode.log_level);
        let config_hash = digest(&data);
        let config = self.owner.child_name(&[component, &config_hash]);
        let mut outline = ModeOutline {
            part: mode.part.clone(),
            lease: name.clone(),
            deployment: name,
            config_hash,
            desired: if self.valid.stopped {
                0
            } else {
                1 + self.valid.standbys.count()
            },
            standbys: self.valid.standbys,
            rollout: put_back::Outline::default(),
        };
        let budget = self
            .valid
            .standbys
            .budget(self.owner, &outline.deployment, component);
        if let Some(budget) = budget {
            children.apply(&budget);
        }
        if !self.gates.holds(&mode.part) {
            let deployment = self.deployment(mode, &site, &outline, &config);
            let config = config_secret(self.owner, component, &config, data);
            if self.valid.standbys.any() {
                let duties = put_back::duties(&site, mode.part.mode);
                outline.rollout = self.live.fates.place(deployment, &config, &duties, children);
            } else {
                children.apply(&config);
                children.apply(&deployment);
            }
        }
        outline
    }

    fn deployment(
        &self,
        mode: &ValidMode,
        site: &ValidSite,
        outline: &ModeOutline,
        config: &str,
    ) -> Deployment {
        let component = &mode.part.to_string();
        let mut metadata = self.owner.meta(&outline.deployment, component);
        let mut labels = self.owner.labels(component);
        if let Some(tag) = &self.valid.image_of(mode).tag {
            let tag = (names::LABEL_VERSION.to_owned(), label_value(tag));
            labels.extend([tag.clone()]);
            metadata.labels.get_or_insert_default().extend([tag]);
        }
        let selector = self.owner.selector(component);
        let pod = PodContext {
            valid: self.valid,
            site,
            mode,
            settings: self.settings,
            config,
            config_hash: &outline.config_hash,
            lease: &outline.lease,
            account: self.account,
            labels: &labels,
            selector: &selector,
        };
        let template_hash = digest_of(&pod.template(""));
        let image = self
            .live
            .supervisors
            .image_for(&outline.deployment, &template_hash);
        let template = pod.template(image.unwrap_or(&self.settings.agents_image));
        let mut annotations = BTreeMap::from([(names::ANNOTATION_TEMPLATE_HASH.to_owned(), template_hash)]);
        let passed = self.gates.passed(&mode.part);
        annotations.extend(passed.map(|hash| (names::ANNOTATION_PREFLIGHT_HASH.to_owned(), hash.to_owned())));
        metadata.annotations = Some(annotations);
        Deployment {
            metadata,
            spec: Some(DeploymentSpec {
                replicas: Some(outline.desired),
                // Never two at once: upstream's agents do not know of each other. With standbys the Lease alone sees to
                // it.
                strategy: Some(self.valid.standbys.strategy()),
                revision_history_limit: Some(2),
                selector: LabelSelector {
                    match_labels: Some(selector),
                    ..LabelSelector::default()
                },
                template,
                ..DeploymentSpec::default()
            }),
            ..Deployment::default()
        }
    }
}

/// Digest of a pod template.
fn digest_of(template: &PodTemplateSpec) -> String {
    let bytes = serde_json::to_vec(template).expect("API types serialise to JSON");
    digest(&BTreeMap::from([(String::new(), ByteString(bytes))]))
}

/// Digest of a text.
pub(super) fn short_digest(text: &str) -> String {
    digest(&BTreeMap::from([(
        String::new(),
        ByteString(text.as_bytes().to_vec()),
    )]))
}

/// The first 10 hexadecimal digits of a digest over keys and values.
pub(super) fn digest(data: &BTreeMap<String, ByteString>) -> String {
    let mut hash = Sha256::new();
    for (key, value) in data {
        // The lengths keep {"a": "bc"} and {"ab": "c"} apart.
        hash.update((key.len() as u64).to_be_bytes());
        hash.update(key);
        hash.update((value.0.len() as u64).to_be_bytes());
        hash.update(&value.0);
    }
    hash.finalize()
        .iter()
        .take(5)
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A tag as the value of a label: at most 63 characters, letters and digits at both ends. Tags may start with `_`.
fn label_value(tag: &str) -> String {
    let cut: String = tag.chars().take(63).collect();
    cut.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}
