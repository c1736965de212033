//! How offerings reach Waldur. What all of them have in common is said once, in `spec.waldur`; the rest in each offering.

use reeve_api_types::{FieldPath, Reason};

use super::{
    Context,
    fields::{Fields, Read, flag, text},
    log::{At, Log, RemarkKind},
};
use crate::{AgentVersion, Oidc, Waldur};

/// How one offering reaches Waldur, as its entry in the file says.
pub(super) struct Connection {
    url: Read<String>,
    login: Login,
    verify: Option<Read<bool>>,
}

/// How it shows who it is.
enum Login {
    Token(Read<String>),
    Oidc {
        token_url: Read<String>,
        client_id: Read<String>,
        secret: Read<String>,
    },
}

impl Connection {
    /// Takes the connection's fields from an offering's.
    pub(super) fn take(log: &mut Log, fields: &mut Fields<'_>) -> Option<Self> {
        let url = fields.required(log, "waldur_api_url", text);
        let verify = fields.defaulted(log, "verify_ssl", flag);
        let login = login(log, fields);
        let mut url = url?;
        if !url.value.starts_with("http://") && !url.value.starts_with("https://") {
            let message = "write a URL with http:// or https://: upstream does not start with another";
            log.refuse(&url.at, Reason::InvalidValue, message);
            return None;
        }
        if !url.value.ends_with('/') {
            url.value.push('/');
        }
        Some(Self {
            url,
            login: login?,
            verify,
        })
    }

    /// Whether certificates are verified.
    pub(super) fn verifies(&self) -> bool {
        self.verify.as_ref().is_none_or(|read| read.value)
    }

    /// The port of the event connection that agents of `version` take when none is given.
    pub(super) fn event_port(&self, version: AgentVersion, tls: bool) -> u16 {
        let encrypted = if version.has_sound_transport() {
            tls
        } else {
            self.verifies()
        };
        if encrypted { 443 } else { 80 }
    }
}

/// A token counts before OIDC, as upstream has it.
fn login(log: &mut Log, fields: &mut Fields<'_>) -> Option<Login> {
    let refused = log.refusals.len();
    let token = fields
        .defaulted(log, "waldur_api_token", text)
        .and_then(Read::filled);
    let names = ["oidc_token_url", "oidc_client_id", "oidc_client_secret"];
    let oidc = names.map(|name| fields.optional(log, name, text).and_then(Read::filled));
    if let Some(token) = token {
        for read in oidc.iter().flatten() {
            let message = "upstream uses waldur_api_token while there is one; remove that to use OIDC";
            log.remark(&read.at, RemarkKind::Dropped, message);
        }
        return Some(Login::Token(token));
    }
    if let [Some(token_url), Some(client_id), Some(secret)] = oidc {
        return Some(Login::Oidc {
            token_url,
            client_id,
            secret,
        });
    }
    if log.refusals.len() > refused {
        // One of them is there, and wrong.
        return None;
    }
    let message = "neither waldur_api_token nor all of oidc_token_url, oidc_client_id and oidc_client_secret are given, and \
                   upstream does not start without; add them";
    log.refuse(&fields.at, Reason::Required, message);
    None
}

/// Writes the connections of all offerings: what is common into the first result, the rest into each offering's. `words`
/// name the offerings.
pub(super) fn write(
    context: &mut Context<'_>,
    connections: &[Connection],
    words: &[String],
) -> (Option<Waldur>, Vec<Option<Waldur>>) {
    let root = FieldPath::new("spec");
    let common = |same: fn(&Connection, &Connection) -> bool| {
        let first = connections.first();
        first.filter(|first| connections.iter().all(|other| same(first, other)))
    };
    let url = common(|a, b| a.url.value == b.url.value);
    let login = common(|a, b| a.login.same(&b.login));
    let verify = common(|a, b| a.verifies() == b.verifies());
    let shared = put(context, &root.field("waldur"), "", (url, login, verify));
    let mut own = Vec::with_capacity(connections.len());
    for (index, connection) in connections.iter().enumerate() {
        let path = root.field("offerings").index(index).field("waldur");
        let unless = |common: Option<&Connection>| common.is_none().then_some(connection);
        let parts = (unless(url), unless(login), unless(verify));
        own.push(put(context, &path, &words[index], parts));
    }
    (shared, own)
}

type Parts<'a> = (
    Option<&'a Connection>,
    Option<&'a Connection>,
    Option<&'a Connection>,
);

/// A `waldur` at `path` with these parts; `None` when there is nothing to say.
fn put(
    context: &mut Context<'_>,
    path: &FieldPath,
    word: &str,
    (url, login, verify): Parts<'_>,
) -> Option<Waldur> {
    let mut waldur = Waldur::default();
    if let Some(Connection { url, .. }) = url {
        context.log.origins.note(&path.field("apiUrl"), &url.at);
        waldur.api_url = Some(url.value.clone());
    }
    match login.map(|connection| &connection.login) {
        None => {}
        Some(Login::Token(token)) => {
            context.log.origins.note(&path.field("tokenRef"), &token.at);
            let key = if word.is_empty() {
                "token".to_owned()
            } else {
                format!("token-{word}")
            };
            waldur.token_ref = Some(context.vault.keep("waldur", &key, &token.value));
        }
        Some(Login::Oidc {
            token_url,
            client_id,
            secret,
        }) => waldur.oidc = Some(put_oidc(context, path, word, [token_url, client_id, secret])),
    }
    // True is the default, so only false is worth a word.
    if let Some(Connection {
        verify: Some(Read { value: false, at }),
        ..
    }) = verify
    {
        context.log.origins.note(&path.field("verifyTLS"), at);
        waldur.verify_tls = Some(false);
    }
    (waldur != Waldur::default()).then_some(waldur)
}

fn put_oidc(context: &mut Context<'_>, path: &FieldPath, word: &str, parts: [&Read<String>; 3]) -> Oidc {
    let [token_url, client_id, secret] = parts;
    let path = path.field("oidc");
    let fields: [(&str, &At); 3] = [
        ("tokenUrl", &token_url.at),
        ("clientId", &client_id.at),
        ("clientSecretRef", &secret.at),
    ];
    for (field, at) in fields {
        context.log.origins.note(&path.field(field), at);
    }
    context.log.origins.note(&path, &token_url.at);
    let key = if word.is_empty() {
        "oidc-client-secret".to_owned()
    } else {
        format!("oidc-client-secret-{word}")
    };
    Oidc {
        token_url: token_url.value.clone(),
        client_id: client_id.value.clone(),
        client_secret_ref: context.vault.keep("waldur", &key, &secret.value),
    }
}

impl Login {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Token(a), Self::Token(b)) => a.value == b.value,
            (
                Self::Oidc {
                    token_url: url,
                    client_id: id,
                    secret,
                },
                Self::Oidc {
                    token_url,
                    client_id,
                    secret: other,
                },
            ) => url.value == token_url.value && id.value == client_id.value && secret.value == other.value,
            _ => false,
        }
    }
}
