//! The REST API as a pure function: a request, the world and the time in, a reply out.
//! The order of refusals is Django's: unknown path, then credentials, then method, then object, then fields.

mod agents;
mod fields;
mod listing;
mod offerings;
mod orders;
mod people;
mod resources;
#[cfg(test)]
mod tests;
mod usage;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::refusal::Refusal;
use crate::world::{User, World};

/// A request as the API sees it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    /// The Authorization header.
    pub(crate) authorization: Option<String>,
    /// Scheme and host that the client used, for URLs in replies.
    pub(crate) base: String,
    pub(crate) body: Vec<u8>,
}

/// A reply.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
}

impl Reply {
    fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Some(body),
        }
    }

    fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: None,
        }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let headers = match &refusal {
            Refusal::NoCredentials | Refusal::BadToken => vec![("www-authenticate", "Token".to_owned())],
            Refusal::MethodNotAllowed { allowed, .. } => vec![("allow", allowed.clone())],
            _ => Vec::new(),
        };
        Self {
            status: refusal.status(),
            headers,
            body: Some(refusal.body()),
        }
    }
}

/// A request on its way through a handler.
pub(crate) struct Call<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) user: User,
    pub(crate) request: &'a Request,
    pub(crate) now: Timestamp,
    id: &'a str,
}

impl Call<'_> {
    /// The UUID in the path. One that is none names no object, so it is refused like an unknown one.
    fn id(&self, model: &'static str) -> Result<Uuid, Refusal> {
        Uuid::parse_str(self.id).map_err(|_| Refusal::NoSuchObject(model))
    }

    /// The URL of an object.
    fn url(&self, collection: &str, uuid: Uuid) -> String {
        format!("{}/api/{collection}/{}/", self.request.base, hex(uuid))
    }
}

/// A UUID as Waldur writes it: without hyphens.
pub(crate) fn hex(uuid: Uuid) -> String {
    uuid.simple().to_string()
}

/// What a method of a path does.
type Handler = fn(&mut Call<'_>) -> Result<Reply, Refusal>;

/// A method of a path; `*` in the path stands for the object's UUID.
pub(crate) struct Route(&'static str, &'static str, Handler);

const ROUTES: [&[Route]; 7] = [
    MISCELLANEOUS,
    agents::ROUTES,
    offerings::ROUTES,
    orders::ROUTES,
    people::ROUTES,
    resources::ROUTES,
    usage::ROUTES,
];

const MISCELLANEOUS: &[Route] = &[
    Route("GET", "/api/version/", version),
    Route("GET", "/api/users/me/", me),
    Route("POST", "/api/marketplace-site-agent-logs/", take_logs),
];

/// Answers a request.
pub(crate) fn answer(world: &mut World, request: &Request, now: Timestamp) -> Reply {
    route(world, request, now).unwrap_or_else(Reply::from)
}

fn route(world: &mut World, request: &Request, now: Timestamp) -> Result<Reply, Refusal> {
    let routes: Vec<(&Route, &str)> = matching(&request.path);
    if routes.is_empty() {
        return redirect_to_slash(request).ok_or(Refusal::NoSuchPath);
    }
    let user = authenticate(world, request.authorization.as_deref())?.clone();
    let Some((route, id)) = routes.iter().find(|(route, _)| route.0 == request.method) else {
        let methods: Vec<&str> = routes.iter().map(|(route, _)| route.0).collect();
        return Err(Refusal::MethodNotAllowed {
            method: request.method.clone(),
            allowed: methods.join(", "),
        });
    };
    (route.2)(&mut Call {
        world,
        user,
        request,
        now,
        id,
    })
}

fn matching(path: &str) -> Vec<(&'static Route, &str)> {
    ROUTES
        .iter()
        .copied()
        .flatten()
        .filter_map(|route| Some((route, capture(route.1, path)?)))
        .collect()
}

/// What stands in the path where the pattern has `*`; empty without one, none if the path does not match.
fn capture<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let Some((before, after)) = pattern.split_once('*') else {
        return (pattern == path).then_some("");
    };
    let id = path.strip_prefix(before)?.strip_suffix(after)?;
    // `users/me/` and `set_usage/` are names in the place of an identifier; a slash is never part of one.
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

/// Django's `APPEND_SLASH`: a path that lacks only its last slash is redirected, for reading.
fn redirect_to_slash(request: &Request) -> Option<Reply> {
    let path = format!("{}/", request.path);
    let found = request.method == "GET" && !matching(&path).is_empty();
    found.then(|| Reply {
        status: 301,
        headers: vec![("location", path)],
        body: None,
    })
}

/// The user of an Authorization header, as Django REST framework's token authentication reads it.
pub(crate) fn authenticate<'w>(world: &'w World, header: Option<&str>) -> Result<&'w User, Refusal> {
    let mut words = header.unwrap_or_default().split_whitespace();
    if !words
        .next()
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("token"))
    {
        return Err(Refusal::NoCredentials);
    }
    match (words.next(), words.next()) {
        (Some(token), None) => world.user_of_token(token).ok_or(Refusal::BadToken),
        _ => Err(Refusal::BadToken),
    }
}

/// Mastermind tells its version to staff and support only, so an ordinary agent gets 403 and logs a warning.
fn version(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    if !call.user.staff {
        return Err(Refusal::Forbidden);
    }
    Ok(Reply::json(200, json!({ "version": call.world.version })))
}

fn me(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let user = &call.user;
    call.one(json!({
        "uuid": hex(user.uuid),
        "url": call.url("users", user.uuid),
        "username": user.username,
        "full_name": user.full_name,
        "slug": crate::world::slug(&user.username),
        "email": format!("{}@example.org", user.username),
        "is_active": true,
        "is_staff": user.staff,
        "is_support": false,
        "permissions": [],
    }))
}

fn take_logs(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    call.fields()?;
    Ok(Reply::empty(201))
}
