//! What the API server would refuse in the pods that follow from overrides: said before, with the field.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use k8s_openapi::api::core::v1::{Container, ContainerPort, EnvVar, PodSpec, PodTemplateSpec, Toleration};
use reeve_api_types::{FieldPath, Problem, Reason, syntax};
use serde::Serialize;
use serde_json::Value;

use super::resources;

/// What a port can be.
pub(in crate::controllers) const PORTS: RangeInclusive<i32> = 1..=65535;
/// What a port can speak.
pub(in crate::controllers) const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
/// What a word can be, by field.
const PULL_POLICIES: &[&str] = &["Always", "IfNotPresent", "Never"];
const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Everything in a template that the API server would refuse whatever it is merged with.
pub(in crate::controllers) fn admission(template: &PodTemplateSpec, path: &FieldPath) -> Vec<Problem> {
    let mut problems = Problems(Vec::new());
    problems.template(template, path);
    problems.0
}

struct Problems(Vec<Problem>);

impl Problems {
    fn invalid(&mut self, path: FieldPath, message: impl Into<String>) {
        self.0.push(Problem::new(path, Reason::InvalidValue, message));
    }

    fn is_formed(&mut self, path: FieldPath, message: Option<&'static str>) {
        if let Some(message) = message {
            self.invalid(path, message);
        }
    }

    fn one_of(&mut self, path: FieldPath, word: Option<&str>, known: &[&str]) {
        if let Some(word) = word
            && !known.contains(&word)
        {
            self.invalid(path, format!("write one of {}", known.join(", ")));
        }
    }

    fn template(&mut self, template: &PodTemplateSpec, path: &FieldPath) {
        if let Some(metadata) = &template.metadata {
            let path = path.field("metadata");
            self.labels(metadata.labels.as_ref(), &path.field("labels"));
            for key in metadata.annotations.iter().flat_map(|entries| entries.keys()) {
                self.is_formed(path.field("annotations").field(key), syntax::qualified_name(key));
            }
        }
        let Some(spec) = &template.spec else { return };
        let path = path.field("spec");
        self.labels(spec.node_selector.as_ref(), &path.field("nodeSelector"));
        for (index, toleration) in spec.tolerations.iter().flatten().enumerate() {
            self.toleration(toleration, &path.field("tolerations").index(index));
        }
        self.volume_forms(spec, &path);
        self.container_forms(spec, &path);
    }

    fn labels(&mut self, labels: Option<&BTreeMap<String, String>>, path: &FieldPath) {
        for (key, value) in labels.into_iter().flatten() {
            let message = syntax::qualified_name(key).or_else(|| syntax::label_value(value));
            self.is_formed(path.field(key), message);
        }
    }

    fn toleration(&mut self, toleration: &Toleration, path: &FieldPath) {
        let operator = toleration
            .operator
            .as_deref()
            .filter(|operator| !operator.is_empty());
        let effect = toleration.effect.as_deref().filter(|effect| !effect.is_empty());
        let key = toleration.key.as_deref().unwrap_or_default();
        self.one_of(path.field("operator"), operator, &["Exists", "Equal"]);
        self.one_of(path.field("effect"), effect, EFFECTS);
        if !key.is_empty() {
            self.is_formed(path.field("key"), syntax::qualified_name(key));
        } else if operator != Some("Exists") {
            self.invalid(
                path.field("key"),
                "name the taint, or write operator: Exists for all taints",
            );
        }
        if operator == Some("Exists") && toleration.value.as_deref().is_some_and(|value| !value.is_empty()) {
            self.invalid(path.field("value"), "goes with operator Equal only; remove it");
        }
        if toleration.toleration_seconds.is_some() && effect != Some("NoExecute") {
            self.invalid(
                path.field("tolerationSeconds"),
                "goes with effect NoExecute only; remove it",
            );
        }
    }

    fn volume_forms(&mut self, spec: &PodSpec, path: &FieldPath) {
        let mut names = BTreeSet::new();
        for (index, volume) in spec.volumes.iter().flatten().enumerate() {
            let path = path.field("volumes").index(index);
            self.named(&volume.name, syntax::dns_label, &mut names, &path);
            let sources = given(volume).into_iter().filter(|field| field != "name");
            if sources.count() > 1 {
                self.invalid(path, "has more than one source; make it one volume for each");
            }
        }
    }

    /// A name that is given, well formed and there for the first time.
    fn named(
        &mut self,
        name: &str,
        form: fn(&str) -> Option<&'static str>,
        seen: &mut BTreeSet<String>,
        path: &FieldPath,
    ) {
        if name.is_empty() {
            self.invalid(path.field("name"), "give it a name");
        } else if let Some(message) = form(name) {
            self.invalid(path.field("name"), message);
        } else if !seen.insert(name.to_owned()) {
            let message = "is there already in this list; keep one";
            self.0
                .push(Problem::new(path.field("name"), Reason::Duplicate, message));
        }
    }

    fn container_forms(&mut self, spec: &PodSpec, path: &FieldPath) {
        let init = spec.init_containers.iter().flatten().enumerate();
        let init = init.map(|(index, container)| ("initContainers", index, container));
        let others = spec.containers.iter().enumerate();
        let others = others.map(|(index, container)| ("containers", index, container));
        let mut names = BTreeSet::new();
        for (list, index, container) in others.chain(init) {
            let path = path.field(list).index(index);
            // One without a name is refused already.
            if !container.name.is_empty() {
                self.named(&container.name, syntax::dns_label, &mut names, &path);
            }
            self.container_form(container, &path);
        }
    }

    fn container_form(&mut self, container: &Container, path: &FieldPath) {
        if let Some(image) = &container.image
            && (image.is_empty() || image.chars().any(char::is_whitespace))
        {
            self.invalid(
                path.field("image"),
                "write an image without blanks, such as registry.example.org/name:1",
            );
        }
        self.one_of(
            path.field("imagePullPolicy"),
            container.image_pull_policy.as_deref(),
            PULL_POLICIES,
        );
        self.port_forms(
            container.ports.as_deref().unwrap_or_default(),
            &path.field("ports"),
        );
        self.variables(container.env.as_deref().unwrap_or_default(), &path.field("env"));
        for (index, source) in container.env_from.iter().flatten().enumerate() {
            let path = path.field("envFrom").index(index);
            if source.config_map_ref.is_some() == source.secret_ref.is_some() {
                self.invalid(path.clone(), "write either configMapRef or secretRef");
            }
            let prefix = source.prefix.as_deref().filter(|prefix| !prefix.is_empty());
            self.is_formed(path.field("prefix"), prefix.and_then(syntax::variable_name));
        }
        self.mount_forms(container, path);
        if let Some(wanted) = &container.resources {
            self.0.extend(resources(wanted, &path.field("resources")));
        }
    }

    fn port_forms(&mut self, ports: &[ContainerPort], path: &FieldPath) {
        let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
        for (index, port) in ports.iter().enumerate() {
            let path = path.index(index);
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            self.one_of(path.field("protocol"), Some(protocol), &PROTOCOLS);
            if !PORTS.contains(&port.container_port) {
                self.invalid(path.field("containerPort"), "write 1 to 65535");
            } else if !numbers.insert((port.container_port, protocol)) {
                let message = format!("{}/{protocol} is there already; keep one", port.container_port);
                self.0.push(Problem::new(
                    path.field("containerPort"),
                    Reason::Duplicate,
                    message,
                ));
            }
            if port
                .host_port
                .is_some_and(|port| port != 0 && !PORTS.contains(&port))
            {
                self.invalid(path.field("hostPort"), "write 1 to 65535, or remove it");
            }
            if let Some(name) = &port.name {
                self.named(name, syntax::port_name, &mut names, &path);
            }
        }
    }

    fn variables(&mut self, variables: &[EnvVar], path: &FieldPath) {
        let mut names = BTreeSet::new();
        for (index, variable) in variables.iter().enumerate() {
            let path = path.index(index);
            self.named(&variable.name, syntax::variable_name, &mut names, &path);
            let Some(source) = &variable.value_from else {
                continue;
            };
            if variable.value.as_deref().is_some_and(|value| !value.is_empty()) {
                self.invalid(path.field("valueFrom"), "goes with no value; keep one of the two");
            } else if given(source).len() != 1 {
                let message = "name one source: secretKeyRef, configMapKeyRef, fieldRef or resourceFieldRef";
                self.invalid(path.field("valueFrom"), message);
            }
            for (field, key) in [
                (
                    "secretKeyRef",
                    source.secret_key_ref.as_ref().map(|of| (&of.name, &of.key)),
                ),
                (
                    "configMapKeyRef",
                    source.config_map_key_ref.as_ref().map(|of| (&of.name, &of.key)),
                ),
            ] {
                if key.is_some_and(|(name, key)| name.is_empty() || key.is_empty()) {
                    self.invalid(path.field("valueFrom").field(field), "needs name and key");
                }
            }
        }
    }

    fn mount_forms(&mut self, container: &Container, path: &FieldPath) {
        let mut paths = BTreeSet::new();
        for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
            let path = path.field("volumeMounts").index(index);
            if mount.name.is_empty() {
                self.invalid(path.field("name"), "name the volume");
            }
            let at = path.field("mountPath");
            if mount.mount_path.is_empty() {
                self.invalid(at, "name the directory or file at which the volume is to be seen");
            } else if mount.mount_path.contains(':') {
                self.invalid(at, "must not contain a colon; choose another path");
            } else if !paths.insert(&mount.mount_path) {
                let message = "another volume is mounted there already; keep one";
                self.0.push(Problem::new(at, Reason::Duplicate, message));
            }
            for (field, below) in [
                ("subPath", &mount.sub_path),
                ("subPathExpr", &mount.sub_path_expr),
            ] {
                let below = below.as_deref().unwrap_or_default();
                if below.starts_with('/') || below.split('/').any(|part| part == "..") {
                    self.invalid(
                        path.field(field),
                        "write a path within the volume, without a leading / and without ..",
                    );
                }
            }
            let given = |path: &Option<String>| path.as_deref().is_some_and(|path| !path.is_empty());
            if given(&mount.sub_path) && given(&mount.sub_path_expr) {
                self.invalid(
                    path.field("subPathExpr"),
                    "goes with no subPath; keep one of the two",
                );
            }
        }
    }
}

/// The fields of `of` that are given.
fn given(of: &impl Serialize) -> Vec<String> {
    match serde_json::to_value(of) {
        Ok(Value::Object(fields)) => fields.into_iter().map(|(field, _)| field).collect(),
        _ => Vec::new(),
    }
}
