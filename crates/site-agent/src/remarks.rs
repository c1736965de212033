//! What is no mistake but may be one: worth a line to whoever writes a file, and no reason to refuse it.

use reeve_api_types::{FieldPath, Problem, Reason};

use serde_json::{Map, Value};

use crate::{
    Backend, Site,
    plugins::{self, Role},
    tree,
};

impl Site {
    /// Names of plugins that Reeve does not know, and settings with `${` in them. `root` is the path of the spec.
    pub fn remarks(&self, root: &FieldPath) -> Vec<Problem> {
        let mut remarks = Vec::new();
        for (index, offering) in self.offerings.iter().enumerate() {
            let path = root.field("offerings").index(index);
            unknown_plugins(&offering.backend, &path.field("backend"), &mut remarks);
            templates(&offering.settings, &path.field("settings"), &mut remarks);
        }
        remarks
    }
}

/// Upstream finds plugins by entry point, so an image may bring any; when it does not, upstream starts, and nothing
/// serves the offering. Each name is remarked on once.
fn unknown_plugins(backend: &Backend, path: &FieldPath, remarks: &mut Vec<Problem>) {
    let names = [
        (Role::Orders, backend.orders.as_deref()),
        (Role::Membership, backend.membership.as_deref()),
        (Role::Reporting, backend.reporting.as_deref()),
        (Role::Usernames, Some(backend.usernames.as_str())),
    ];
    let known = |name: &str| plugins::find(name).is_some() || plugins::renamed(name).is_some();
    let mut said = Vec::new();
    for (role, name) in names {
        let Some(name) = name.filter(|name| !known(name) && !said.contains(name)) else {
            continue;
        };
        said.push(name);
        let message = format!(
            "{name:?} is no plugin that Reeve knows, so the image has to bring it; upstream's for this are {}",
            plugins::with_role(role)
        );
        remarks.push(Problem::new(path.field(role.field()), Reason::NoEffect, message));
    }
    let type_ = backend.type_.as_str();
    if !known(type_) && !said.contains(&type_) {
        let message = format!("{type_:?} is no backend that Reeve knows, so its settings are not checked");
        remarks.push(Problem::new(path.field("type"), Reason::NoEffect, message));
    }
}

/// Upstream fills in no variables. A value that is nothing but one is refused; one that merely has one may be meant.
fn templates(settings: &Map<String, Value>, path: &FieldPath, remarks: &mut Vec<Problem>) {
    tree::leaves(settings, &mut |pointer, _, value| {
        let text = value.as_str().unwrap_or_default();
        if text.contains("${") && !tree::is_placeholder(text) {
            let message = format!("{pointer} has ${{ in it, and the agent fills in no variables");
            remarks.push(Problem::new(path.clone(), Reason::NoEffect, message));
        }
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture::site_with;

    fn remarks(change: &serde_json::Value) -> Vec<String> {
        let remarks = site_with(change).remarks(&FieldPath::new("spec"));
        remarks.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_upstream_ships_needs_no_remark() {
        assert_eq!(remarks(&json!({})), Vec::<String>::new());
    }

    #[test]
    fn a_plugin_that_nobody_knows_is_remarked_on_once_with_those_that_are_known() {
        let typo = json!({"backend": {"type": "slrum", "orders": "slrum", "membership": "slrum"}});
        let said = remarks(&typo);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].starts_with("spec.offerings[0].backend.orders: \"slrum\"")
                && said[0].contains("slurm, moab"),
            "{said:?}"
        );
    }

    #[test]
    fn a_type_that_nobody_knows_is_remarked_on() {
        let said = remarks(&json!({"backend": {"type": "ours"}}));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].starts_with("spec.offerings[0].backend.type: \"ours\""),
            "{said:?}"
        );
    }

    #[test]
    fn a_variable_within_a_setting_is_remarked_on() {
        let said = remarks(&json!({"settings": {"homedir_base_path": "/home/${CLUSTER}"}}));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].starts_with("spec.offerings[0].settings: /homedir_base_path has ${"),
            "{said:?}"
        );
    }
}
