//! Who the pods are and what they may do: renew their own Leases, nothing else.

use k8s_openapi::api::{
    core::v1::ServiceAccount,
    rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
};
use kube::Resource;

use crate::engine::{Owner, child::SHARED_COMPONENT as COMPONENT};

/// The identity of the pods. Its token is mounted where the supervisor looks for it, not by default.
pub(super) fn service_account(owner: &Owner) -> ServiceAccount {
    ServiceAccount {
        metadata: owner.meta(&owner.child_name(&[]), COMPONENT),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// The right to renew exactly these Leases. They exist already: creation could not be limited by name.
pub(super) fn lease_role(owner: &Owner, leases: Vec<String>) -> Role {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let rule = |leases| PolicyRule {
        api_groups: Some(words(&["coordination.k8s.io"])),
        resources: Some(words(&["leases"])),
        resource_names: Some(leases),
        verbs: words(&["get", "watch", "list", "update", "patch"]),
        ..PolicyRule::default()
    };
    Role {
        metadata: owner.meta(&owner.child_name(&[]), COMPONENT),
        // A rule without names would be a right to all Leases.
        rules: Some(if leases.is_empty() {
            Vec::new()
        } else {
            vec![rule(leases)]
        }),
    }
}

/// Gives the role to the accounts that the pods run as.
pub(super) fn lease_role_binding<'a>(owner: &Owner, accounts: impl Iterator<Item = &'a str>) -> RoleBinding {
    let subject = |account: &str| Subject {
        kind: ServiceAccount::kind(&()).into_owned(),
        name: account.to_owned(),
        namespace: Some(owner.namespace.clone()),
        ..Subject::default()
    };
    RoleBinding {
        metadata: owner.meta(&owner.child_name(&[]), COMPONENT),
        role_ref: RoleRef {
            api_group: Role::group(&()).into_owned(),
            kind: Role::kind(&()).into_owned(),
            name: owner.child_name(&[]),
        },
        subjects: Some(accounts.map(subject).collect()),
    }
}
