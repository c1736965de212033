//! What a part of a pod template refers to and nothing gives: the image of a container, the volume of a mount.

use k8s_openapi::api::core::v1::{Container, PodSpec};
use reeve_api_types::{FieldPath, Problem, Reason};

/// A list of containers and how to get it.
type List = (&'static str, fn(&PodSpec) -> &[Container]);

/// Whether a part gives what is looked for.
pub(in crate::controllers) type Gives<'a> = dyn Fn(&PodSpec) -> bool + 'a;

const LISTS: [List; 2] = [
    ("containers", |spec| &spec.containers),
    ("initContainers", |spec| {
        spec.init_containers.as_deref().unwrap_or_default()
    }),
];

/// What the operator gives itself.
#[derive(Clone, Copy, Debug)]
pub(in crate::controllers) struct Ours<'a> {
    /// Its containers.
    pub containers: &'a [&'a str],
    /// How a message names them.
    pub called: &'a str,
    /// Its volumes.
    pub volumes: &'a [&'a str],
}

/// What is missing in `spec`, unless `other` parts give it.
pub(in crate::controllers) fn missing(
    spec: &PodSpec,
    ours: &Ours<'_>,
    path: &FieldPath,
    other: &dyn Fn(&Gives<'_>) -> bool,
) -> Vec<Problem> {
    let path = path.field("spec");
    let absent = |gives: &dyn Fn(&PodSpec) -> bool| !gives(spec) && !other(gives);
    let mut problems = Vec::new();
    for (list, of) in LISTS {
        for (index, container) in of(spec).iter().enumerate() {
            let path = path.field(list).index(index);
            let has_image = |spec: &PodSpec| {
                let mut twins = of(spec).iter().filter(|twin| twin.name == container.name);
                twins.any(|twin| twin.image.is_some())
            };
            // One without a name, or with the name of the other list's, is refused as such.
            let is_ours = container.name.is_empty() || ours.containers.contains(&container.name.as_str());
            if !is_ours && absent(&has_image) {
                let message = format!(
                    "a container of yours needs an image; if you mean the operator's, its name is {}",
                    ours.called
                );
                problems.push(Problem::new(path.field("image"), Reason::Required, message));
            }
            for (number, mount) in container.volume_mounts.iter().flatten().enumerate() {
                let has_volume = |spec: &PodSpec| {
                    spec.volumes
                        .iter()
                        .flatten()
                        .any(|volume| volume.name == mount.name)
                };
                if !mount.name.is_empty()
                    && !ours.volumes.contains(&mount.name.as_str())
                    && absent(&has_volume)
                {
                    let path = path.field("volumeMounts").index(number).field("name");
                    let message = "there is no volume of this name; add it to volumes of the pod";
                    problems.push(Problem::new(path, Reason::Required, message));
                }
            }
        }
    }
    problems
}
