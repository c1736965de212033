//! What the volumes of pod overrides take from the namespace. A pod waits for a Secret, a `ConfigMap` or a key that is
//! not there, and the kubelet says so in events only.

use std::collections::BTreeSet;

use k8s_openapi::{
    DeepMerge,
    api::core::v1::{KeyToPath, PodTemplateSpec, Volume},
};
use reeve_api_types::{FieldPath, SourceKind};
use reeve_crds::SiteAgentSpec;
use reeve_site_agent::Mode;

use crate::controllers::typed::read;
use crate::engine::{Content, Fetched, Reference};

/// What a volume cannot do without.
struct Mounted {
    volume: String,
    source: Reference,
}

/// Everything that the volumes of any mode's overrides cannot do without.
pub(in super::super) fn references(spec: &SiteAgentSpec) -> Vec<Reference> {
    let typed = |mode| {
        let levels = [&spec.pod_overrides, &spec.modes.get(mode).pod_overrides];
        levels.map(|level| {
            let value = &level.as_ref()?.0;
            read::<PodTemplateSpec>(value, &FieldPath::default(), "").0
        })
    };
    let of_mode = |mode| {
        let [shared, own] = typed(mode);
        mounted([shared.as_ref(), own.as_ref()])
    };
    let all = Mode::ALL.into_iter().flat_map(of_mode);
    all.map(|mounted| mounted.source).collect()
}

/// What of that is not there, for a mode with these two levels of overrides: a sentence for each.
pub(in super::super) fn missing(levels: [Option<&PodTemplateSpec>; 2], content: &Content) -> Vec<String> {
    let of_volume = |Mounted { volume, source }: Mounted| {
        let Reference { kind, name, keys } = source;
        let field = format!("podOverrides.spec.volumes, volume {volume}");
        match content.0.get(&(kind, name.clone())) {
            None | Some(Fetched::Missing) => {
                vec![format!(
                    "{field}: {kind} {name} does not exist in this namespace; create it"
                )]
            }
            Some(Fetched::Found { data, .. }) => {
                let lacking = keys.into_iter().filter(|key| !data.contains_key(key));
                lacking
                    .map(|key| format!("{field}: {kind} {name} has no key {key:?}"))
                    .collect()
            }
        }
    };
    mounted(levels).into_iter().flat_map(of_volume).collect()
}

/// What the volumes of these levels, merged, cannot do without.
fn mounted(levels: [Option<&PodTemplateSpec>; 2]) -> Vec<Mounted> {
    let mut merged = PodTemplateSpec::default();
    for level in levels.into_iter().flatten() {
        merged.merge_from(level.clone());
    }
    let volumes = merged.spec.and_then(|spec| spec.volumes).unwrap_or_default();
    volumes.iter().flat_map(of_volume).collect()
}

fn of_volume(volume: &Volume) -> Vec<Mounted> {
    let mut found = Vec::new();
    let mut take = |kind, name: Option<&String>, items: &Option<Vec<KeyToPath>>, optional: Option<bool>| {
        let Some(name) = name.filter(|name| !name.is_empty() && optional != Some(true)) else {
            return;
        };
        let keys: BTreeSet<_> = items.iter().flatten().map(|item| item.key.clone()).collect();
        found.push(Mounted {
            volume: volume.name.clone(),
            source: Reference {
                kind,
                name: name.clone(),
                keys,
            },
        });
    };
    if let Some(secret) = &volume.secret {
        let name = secret.secret_name.as_ref();
        take(SourceKind::Secret, name, &secret.items, secret.optional);
    }
    if let Some(map) = &volume.config_map {
        take(SourceKind::ConfigMap, Some(&map.name), &map.items, map.optional);
    }
    let projected = volume.projected.iter();
    for source in projected.flat_map(|projected| projected.sources.iter().flatten()) {
        if let Some(secret) = &source.secret {
            let name = Some(&secret.name);
            take(SourceKind::Secret, name, &secret.items, secret.optional);
        }
        if let Some(map) = &source.config_map {
            take(SourceKind::ConfigMap, Some(&map.name), &map.items, map.optional);
        }
    }
    found
}
