//! How an offering reaches Waldur: its own words over the site's, and whether upstream can work with them.

use reeve_api_types::{BundleReference, FieldPath, Reason, SecretKeyReference, SecretText};

use super::Check;
use crate::{
    ApiUrl, Offering, Oidc, Site, Waldur,
    api_url::web_url,
    valid::{Auth, Connection},
};

/// A value and the field that it came from.
struct At<'a, T> {
    value: &'a T,
    path: FieldPath,
}

/// The offering's value of a field, else the site's.
fn pick<'a, T>(
    site: &'a Site,
    offering: &'a Offering,
    (root, path): (&FieldPath, &FieldPath),
    name: &str,
    get: impl Fn(&Waldur) -> Option<&T>,
) -> Option<At<'a, T>> {
    let own = offering.waldur.as_ref().and_then(&get).map(|value| At {
        value,
        path: path.field("waldur").field(name),
    });
    own.or_else(|| {
        let shared = site.waldur.as_ref().and_then(&get);
        shared.map(|value| At {
            value,
            path: root.field("waldur").field(name),
        })
    })
}

/// The connection of `offering`, at `path`.
pub(super) fn check(
    check: &mut Check<'_>,
    site: &Site,
    offering: &Offering,
    root: &FieldPath,
    path: &FieldPath,
) -> Option<Connection> {
    let paths = (root, path);
    let verify_tls = pick(site, offering, paths, "verifyTLS", |waldur| {
        waldur.verify_tls.as_ref()
    });
    let ca = pick(site, offering, paths, "caRef", |waldur| waldur.ca_ref.as_ref());
    if let (Some(ca), Some(false)) = (&ca, verify_tls.as_ref().map(|at| *at.value)) {
        let message = "the bundle has no effect without verification; remove this, or verifyTLS: false";
        check.refuse(ca.path.clone(), Reason::Conflict, message);
    }
    let url = url(
        check,
        pick(site, offering, paths, "apiUrl", |waldur| waldur.api_url.as_ref()),
        root,
    );
    let auth = auth(check, site, offering, paths);
    let ca_bundle = ca.and_then(|ca| bundle(check, &ca));
    let (url, url_path) = url?;
    let unverified = verify_tls.filter(|at| !at.value).map(|at| at.path);
    Some(Connection {
        url,
        url_path,
        auth: auth?,
        unverified,
        ca_bundle,
    })
}

fn url(check: &mut Check<'_>, text: Option<At<'_, String>>, root: &FieldPath) -> Option<(ApiUrl, FieldPath)> {
    let Some(At { value, path }) = text else {
        let message = "write the URL of Waldur's API, such as https://waldur.example.org/api/, here or in each offering";
        check.refuse(root.field("waldur").field("apiUrl"), Reason::Required, message);
        return None;
    };
    match ApiUrl::parse(value, check.version) {
        Ok(url) => Some((url, path)),
        Err(error) => {
            check.refuse(path, Reason::InvalidValue, error.to_string());
            None
        }
    }
}

/// Token or OIDC: an offering's own choice replaces the site's, whichever it was.
fn auth(
    check: &mut Check<'_>,
    site: &Site,
    offering: &Offering,
    paths: (&FieldPath, &FieldPath),
) -> Option<Auth> {
    let chosen = |waldur: &Waldur| waldur.token_ref.is_some() || waldur.oidc.is_some();
    let (waldur, path) = match (&offering.waldur, &site.waldur) {
        (Some(own), _) if chosen(own) => (own, paths.1.field("waldur")),
        (_, Some(shared)) if chosen(shared) => (shared, paths.0.field("waldur")),
        _ => {
            let message = "name the Secret key with Waldur's token, here or in each offering";
            check.refuse(
                paths.0.field("waldur").field("tokenRef"),
                Reason::Required,
                message,
            );
            return None;
        }
    };
    match (&waldur.token_ref, &waldur.oidc) {
        (Some(_), Some(_)) => {
            let message = "tokenRef and oidc exclude each other: keep the one that Waldur expects";
            check.refuse(path.field("oidc"), Reason::Conflict, message);
            None
        }
        (Some(token), None) => header_value(check, token, &path.field("tokenRef")).map(Auth::Token),
        (None, Some(oidc)) => oidc_auth(check, oidc, offering, &path.field("oidc")),
        (None, None) => None,
    }
}

/// A secret that travels in an HTTP header: a line break or blank in it would make every request fail.
fn header_value(
    check: &mut Check<'_>,
    reference: &SecretKeyReference,
    path: &FieldPath,
) -> Option<SecretText> {
    let text = check.text(&reference.into(), path)?;
    if text.expose().chars().all(|c| c.is_ascii_graphic()) {
        return Some(text);
    }
    let message = format!(
        "key {} of Secret {} holds blanks, line breaks or letters beyond ASCII, which no token has; store the token alone",
        reference.key, reference.name
    );
    check.refuse(path.clone(), Reason::InvalidContent, message);
    None
}

/// Agents before 1.0.8 send an empty token, or fail on an empty proxy; event connections need a token with any.
fn oidc_auth(check: &mut Check<'_>, oidc: &Oidc, offering: &Offering, path: &FieldPath) -> Option<Auth> {
    if !check.version.has_sound_transport() {
        let message = format!(
            "agent {} cannot use OIDC; use a token (tokenRef), or agent 1.0.8",
            check.version
        );
        check.refuse(path.clone(), Reason::Conflict, message);
    } else if offering.events.enabled {
        let message = format!(
            "offering {:?} has events, which need a token: use tokenRef for it, or polling",
            offering.name
        );
        check.refuse(path.clone(), Reason::Conflict, message);
    }
    if web_url(&oidc.token_url).is_none() {
        let message = "write a URL with http:// or https:// and a host";
        check.refuse(path.field("tokenUrl"), Reason::InvalidValue, message);
    }
    if oidc.client_id.trim().is_empty() {
        check.refuse(path.field("clientId"), Reason::Required, "write the client id");
    }
    check.plain(&oidc.client_id, path.field("clientId"));
    if crate::tree::is_placeholder(&oidc.client_id) {
        let message = "is a placeholder, which the agent takes literally; write the client id";
        check.refuse(path.field("clientId"), Reason::NoEffect, message);
    }
    let secret = check.text(&(&oidc.client_secret_ref).into(), &path.field("clientSecretRef"))?;
    Some(Auth::Oidc {
        token_url: oidc.token_url.clone(),
        client_id: oidc.client_id.clone(),
        secret,
    })
}

fn bundle(check: &mut Check<'_>, ca: &At<'_, BundleReference>) -> Option<String> {
    let source = ca.value.into();
    let text = check.text(&source, &ca.path)?;
    let pem = text.expose();
    if pem.contains("-----BEGIN CERTIFICATE-----") && pem.contains("-----END CERTIFICATE-----") {
        return Some(format!("{pem}\n"));
    }
    let message = format!("{source} holds no certificate in PEM; store the bundle of CA certificates there");
    check.refuse(ca.path.clone(), Reason::InvalidContent, message);
    None
}

/// The bundle replaces the public CAs for a whole process, so the offerings of an object must agree on it.
pub(super) fn refuse_mixed_bundles(check: &mut Check<'_>, site: &Site, root: &FieldPath) {
    let mut first: Option<Option<&BundleReference>> = None;
    for (index, offering) in site.offerings.iter().enumerate() {
        let path = root.field("offerings").index(index);
        let ca = pick(site, offering, (root, &path), "caRef", |waldur| {
            waldur.ca_ref.as_ref()
        });
        let reference = ca.map(|ca| ca.value);
        if *first.get_or_insert(reference) != reference {
            let message = "all offerings of an object share one bundle, because it holds for a whole process: set \
                           spec.waldur.caRef to one that has all CAs, or make an object for each Waldur";
            check.refuse(path.field("waldur").field("caRef"), Reason::Conflict, message);
        }
    }
}
