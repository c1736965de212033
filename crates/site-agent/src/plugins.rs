//! What is known of upstream's plugins: which roles each can have and which settings it cannot work without.
//! Sources: the plugin catalogue of 1.0.8rc12 and the plugins' READMEs. A plugin that is not here is a custom
//! image's own and may do anything.

/// What a plugin can be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// `backend.orders`.
    Orders,
    /// `backend.membership`.
    Membership,
    /// `backend.reporting`.
    Reporting,
    /// `backend.usernames`.
    Usernames,
}

impl Role {
    /// The field of `backend` that gives a plugin this role.
    pub(crate) const fn field(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Membership => "membership",
            Self::Reporting => "reporting",
            Self::Usernames => "usernames",
        }
    }
}

/// A plugin that upstream ships.
#[derive(Debug)]
pub(crate) struct Plugin {
    /// Its entry point's name, as written in `backend`.
    pub(crate) name: &'static str,
    /// The roles it can have.
    pub(crate) roles: &'static [Role],
    /// JSON Pointers to settings that it cannot work without.
    pub(crate) required: &'static [&'static str],
}

const RESOURCES: &[Role] = &[Role::Orders, Role::Membership, Role::Reporting];
const ACCOUNTS: &[&str] = &[
    "/default_account",
    "/customer_prefix",
    "/project_prefix",
    "/allocation_prefix",
];
const DWDI: &[&str] = &[
    "/cscs_dwdi_api_url",
    "/cscs_dwdi_client_id",
    "/cscs_dwdi_client_secret",
    "/cscs_dwdi_oidc_token_url",
];
const DWDI_STORAGE: &[&str] = &[
    "/cscs_dwdi_api_url",
    "/cscs_dwdi_client_id",
    "/cscs_dwdi_client_secret",
    "/cscs_dwdi_oidc_token_url",
    "/storage_filesystem",
    "/storage_data_type",
];

const fn plugin(name: &'static str, roles: &'static [Role], required: &'static [&'static str]) -> Plugin {
    Plugin {
        name,
        roles,
        required,
    }
}

const PLUGINS: &[Plugin] = &[
    plugin("slurm", RESOURCES, ACCOUNTS),
    plugin("moab", RESOURCES, ACCOUNTS),
    plugin("mup", RESOURCES, &["/api_url", "/username", "/password"]),
    plugin(
        "waldur",
        RESOURCES,
        &[
            "/target_api_url",
            "/target_api_token",
            "/target_offering_uuid",
            "/target_customer_uuid",
        ],
    ),
    plugin("rancher", RESOURCES, &["/backend_url", "/username", "/password"]),
    plugin("rancher-kc-crd", &[Role::Membership], &[]),
    plugin("k8s-ut-namespace", RESOURCES, &[]),
    plugin("envoy", RESOURCES, &["/namespace", "/gateway_url"]),
    plugin("envoy-usage", &[Role::Reporting], &["/api_url", "/api_token"]),
    plugin("okd", RESOURCES, &["/api_url"]),
    plugin("ceph_s3", RESOURCES, &["/s3_endpoint"]),
    plugin("croit_usage", &[Role::Reporting], &["/api_url"]),
    plugin(
        "harbor",
        RESOURCES,
        &["/harbor_url", "/robot_username", "/robot_password"],
    ),
    plugin(
        "nextcloud",
        RESOURCES,
        &["/nextcloud_url", "/admin_username", "/admin_password"],
    ),
    plugin("opennebula", RESOURCES, &["/api_url", "/credentials"]),
    plugin("digitalocean", RESOURCES, &["/token"]),
    plugin("cscs-dwdi-compute", &[Role::Reporting], DWDI),
    plugin("cscs-dwdi-inference", &[Role::Reporting], DWDI),
    plugin("cscs-dwdi-storage", &[Role::Reporting], DWDI_STORAGE),
    plugin("base", &[Role::Usernames], &[]),
    plugin(
        "ldap",
        &[Role::Usernames],
        &[
            "/ldap/uri",
            "/ldap/bind_dn",
            "/ldap/bind_password",
            "/ldap/base_dn",
        ],
    ),
    plugin("waldur-identity-bridge", &[Role::Usernames], &[]),
];

/// Names that upstream gave up, and what they are called now.
const RENAMED: &[(&str, &str)] = &[("croit-s3", "ceph_s3"), ("croit_s3", "ceph_s3")];

/// The plugin of that name; `None` when upstream ships none.
pub(crate) fn find(name: &str) -> Option<&'static Plugin> {
    PLUGINS.iter().find(|plugin| plugin.name == name)
}

/// The present name of a plugin that was renamed.
pub(crate) fn renamed(name: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(old, _)| *old == name).map(|(_, new)| *new)
}

/// The plugins upstream ships that can have `role`, for messages.
pub(crate) fn with_role(role: Role) -> String {
    let names: Vec<_> = PLUGINS
        .iter()
        .filter(|plugin| plugin.roles.contains(&role))
        .map(|p| p.name)
        .collect();
    names.join(", ")
}
