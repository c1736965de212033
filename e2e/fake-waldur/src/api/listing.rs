//! What every list has in common: filters from the query, choice of fields, pages and their headers.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{Call, Reply};
use crate::refusal::Refusal;

/// Objects on a page unless the client asks otherwise.
const PAGE_SIZE: usize = 10;
/// Objects on a page at most.
const MAX_PAGE_SIZE: usize = 200;

impl Call<'_> {
    /// The values of a parameter, of which any may match.
    pub(super) fn texts(&self, name: &str) -> Vec<&str> {
        let of_name = self
            .request
            .query
            .iter()
            .filter(|(key, value)| key == name && !value.is_empty());
        of_name.map(|(_, value)| value.as_str()).collect()
    }

    /// Whether an object passes a filter by text; no such parameter lets all pass.
    pub(super) fn passes(&self, name: &str, value: &str) -> bool {
        let wanted = self.texts(name);
        wanted.is_empty() || wanted.contains(&value)
    }

    /// The UUIDs of a parameter.
    pub(super) fn uuids(&self, name: &str) -> Result<Wanted<Uuid>, Refusal> {
        let parse =
            |text: &str| Uuid::parse_str(text).map_err(|_| Refusal::field(name, "Enter a valid UUID."));
        self.texts(name)
            .into_iter()
            .map(parse)
            .collect::<Result<_, _>>()
            .map(Wanted)
    }

    /// The values of a parameter that has to be one of a few.
    pub(super) fn choices(&self, name: &str, allowed: &[&str]) -> Result<Wanted<String>, Refusal> {
        let check = |text: &str| {
            let wrong = || format!("Select a valid choice. {text} is not one of the available choices.");
            allowed
                .contains(&text)
                .then(|| text.to_owned())
                .ok_or_else(|| Refusal::field(name, wrong()))
        };
        self.texts(name)
            .into_iter()
            .map(check)
            .collect::<Result<_, _>>()
            .map(Wanted)
    }

    /// The time in a parameter.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        let parse = |text: &&str| {
            text.parse()
                .map_err(|_| Refusal::field(name, "Enter a valid date/time."))
        };
        self.texts(name).first().map(parse).transpose()
    }

    /// One object, cut to the fields asked for.
    ///
    /// As a handler's result, because that is what every caller wants.
    #[expect(clippy::unnecessary_wraps, reason = "all handlers have one type")]
    pub(super) fn one(&self, object: Value) -> Result<Reply, Refusal> {
        Ok(Reply::json(200, self.cut(object)))
    }

    /// The asked page of a list, its objects cut to the fields asked for.
    pub(super) fn list(&self, objects: Vec<Value>) -> Result<Reply, Refusal> {
        let number = |name: &str| self.texts(name).first().map(|text| text.parse::<usize>());
        let size = match number("page_size") {
            Some(Ok(size)) if size > 0 => size.min(MAX_PAGE_SIZE),
            _ => PAGE_SIZE,
        };
        let last = objects.len().div_ceil(size).max(1);
        let page = match number("page") {
            None => 1,
            Some(Ok(page)) if (1..=last).contains(&page) => page,
            Some(_) => return Err(Refusal::NoSuchPage),
        };
        let headers = vec![
            ("x-result-count", objects.len().to_string()),
            ("link", self.links(page, last)),
        ];
        let shown = objects.into_iter().skip((page - 1) * size).take(size);
        let body = Value::Array(shown.map(|object| self.cut(object)).collect());
        Ok(Reply {
            status: 200,
            headers,
            body: Some(body),
        })
    }

    fn links(&self, page: usize, last: usize) -> String {
        let mut links = vec![self.link(1, "first")];
        if page > 1 {
            links.push(self.link(page - 1, "prev"));
        }
        if page < last {
            links.push(self.link(page + 1, "next"));
        }
        links.push(self.link(last, "last"));
        links.join(", ")
    }

    fn link(&self, page: usize, relation: &str) -> String {
        let others = self.request.query.iter().filter(|(key, _)| key != "page");
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(others).append_pair("page", &page.to_string());
        format!(
            "<{}{}?{}>; rel=\"{relation}\"",
            self.request.base,
            self.request.path,
            query.finish()
        )
    }

    fn cut(&self, object: Value) -> Value {
        let wanted = self.texts("field");
        match object {
            Value::Object(fields) if !wanted.is_empty() => fields
                .into_iter()
                .filter(|(name, _)| wanted.contains(&name.as_str()))
                .collect(),
            other => other,
        }
    }
}

/// The values that a filter lets pass; none given, all pass.
pub(super) struct Wanted<T>(Vec<T>);

impl<T: PartialEq> Wanted<T> {
    pub(super) fn has<Q: ?Sized>(&self, value: &Q) -> bool
    where
        T: PartialEq<Q>,
    {
        self.0.is_empty() || self.0.iter().any(|wanted| wanted == value)
    }
}
