//! Rules of the moab plugin (`waldur_site_agent_moab/backend.py` and `client.py`, 1.0.7).

use reeve_api_types::{FieldPath, Reason};

use super::Check;
use crate::Offering;

/// The one component that the plugin knows. Without it the backend raises an error each time it is made.
const COMPONENT: &str = "deposit";

/// `path` is the offering's.
pub(super) fn check(check: &mut Check<'_>, offering: &Offering, path: &FieldPath) {
    if !offering.backend.uses("moab") {
        return;
    }
    let components = path.field("components");
    if !offering.components.contains_key(COMPONENT) {
        let message = "plugin moab needs a component deposit; add it";
        check.refuse(components.clone(), Reason::Required, message);
    }
    for (name, component) in &offering.components {
        let path = components.field(name);
        if name != COMPONENT {
            let message = "the moab plugin accounts for the component deposit only; remove this one";
            check.refuse(path, Reason::NoEffect, message);
            continue;
        }
        let factors = [
            ("unitFactor", Some(component.unit_factor)),
            ("unitFactorReporting", component.unit_factor_reporting),
        ];
        for (field, factor) in factors {
            if factor.is_some_and(|factor| factor.to_bits() != 1.0_f64.to_bits()) {
                let message = "has no effect: the moab plugin hands deposits on as they are; remove it";
                check.refuse(path.field(field), Reason::NoEffect, message);
            }
        }
    }
    if offering.backend.run_as_root.is_none() {
        let message = "the commands of plugin moab (mam-…) need root as upstream documents them; write true, and the \
                       agent runs as root, or false when those of your image work for user 1000";
        let path = path.field("backend").field("runAsRoot");
        check.refuse(path, Reason::Required, message);
    }
}
