//! Which Secrets and `ConfigMaps` a site needs: found by walking the spec, so that whoever fetches them knows no
//! field.

use reeve_api_types::{ContentUse, FieldPath, Source};

use crate::{Offering, Site, Waldur};

/// Everything that `site` refers to, with the field that does. `root` is the path of the spec.
pub fn references(site: &Site, root: &FieldPath) -> Vec<ContentUse> {
    let mut uses = Vec::new();
    let mut add = |path: FieldPath, source: Source| uses.push(ContentUse { path, source });
    if let Some(waldur) = &site.waldur {
        of_waldur(waldur, &root.field("waldur"), &mut add);
    }
    if let Some(proxy) = &site.global_proxy_ref {
        add(root.field("globalProxyRef"), proxy.into());
    }
    if let Some(sentry) = &site.sentry {
        add(root.field("sentry").field("dsnRef"), (&sentry.dsn_ref).into());
    }
    for (index, offering) in site.offerings.iter().enumerate() {
        of_offering(offering, &root.field("offerings").index(index), &mut add);
    }
    uses
}

fn of_waldur(waldur: &Waldur, path: &FieldPath, add: &mut impl FnMut(FieldPath, Source)) {
    if let Some(token) = &waldur.token_ref {
        add(path.field("tokenRef"), token.into());
    }
    if let Some(oidc) = &waldur.oidc {
        add(
            path.field("oidc").field("clientSecretRef"),
            (&oidc.client_secret_ref).into(),
        );
    }
    if let Some(bundle) = &waldur.ca_ref {
        add(path.field("caRef"), bundle.into());
    }
}

fn of_offering(offering: &Offering, path: &FieldPath, add: &mut impl FnMut(FieldPath, Source)) {
    if let Some(waldur) = &offering.waldur {
        of_waldur(waldur, &path.field("waldur"), add);
    }
    for (index, setting) in offering.secret_settings.iter().enumerate() {
        add(
            path.field("secretSettings").index(index).field("ref"),
            (&setting.reference).into(),
        );
    }
}
